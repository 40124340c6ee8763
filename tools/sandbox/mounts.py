"""The bubblewrap steps that put the system inside: top-level directories, /proc, /dev, empty private directories. Owns
their wording; what of the user's is shown is decided in `bubblewrap`."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from core.config.settings import SandboxSettings
from tools.sandbox.hidden_files import HiddenPaths
from tools.sandbox.launch import open_for_child
from tools.sandbox.visible_folders import SYSTEM

ORDINARY = 1000
"""Who root is inside: an unprivileged user."""
HALF, QUARTER, EIGHTH = 2, 4, 8
"""Shares of the space for private files."""
_PROC_FOLDERS = ("acpi", "asound", "driver", "dynamic_debug", "fs", "irq", "pressure", "scsi", "tty")
_PROC_FILES = ("kcore", "kmsg", "mtrr", "kpageflags")
"""Written or read by root without any capability, and by no one else."""
_SHM, _TMP, _VAR_TMP = Path("/dev/shm"), Path("/tmp"), Path("/var/tmp")  # noqa: S108 - mounted empty, not written here
_SMALL = 1 << 20


@dataclass(slots=True)
class Mounts:
    """Gathers the steps of one start, and the descriptors they read from."""

    settings: SandboxSettings
    sized: bool
    """Whether bubblewrap can limit the size of empty directories."""
    steps: list[str] = field(default_factory=list)
    files: list[int] = field(default_factory=list)

    def add(self, *steps: str) -> None:
        """Any other step."""
        self.steps += steps

    def bind(self, place: Path) -> None:
        """Show a directory, writable."""
        self.steps += ("--bind", str(place), str(place))

    def read_only(self, source: Path, place: Path | None = None) -> None:
        """Show a file or directory, at its own path or another."""
        self.steps += ("--ro-bind", str(source), str(place or source))

    def empty(self, place: Path, share: int = 0) -> None:
        """An empty directory; without a share of the space, almost nothing fits in it."""
        size = private_bytes(self.settings) // share if share else _SMALL
        self.steps += (*(("--size", str(size)) if self.sized else ()), "--tmpfs", str(place))

    def write(self, place: Path, content: bytes) -> None:
        """A file created for the sandbox."""
        self.files.append(open_for_child(content))
        self.steps += ("--ro-bind-data", str(self.files[-1]), str(place))

    def blank(self, place: Path) -> None:
        """Hide a file; XML settings stay parseable, because an empty file is not valid XML."""
        if place.suffix == ".xml":
            self.write(place, b"<settings/>\n")
        else:
            self.read_only(Path("/dev/null"), place)

    def system(self, covered: HiddenPaths) -> None:
        """Everything that is visible for every worktree.

        Args:
            covered: What to hide in the system's directories.
        """
        for place in (*(Path("/", name) for name in SYSTEM), Path("/run/current-system"), Path("/run/opengl-driver")):
            if place.is_symlink():
                self.add("--symlink", str(place.readlink()), str(place))
            elif place.is_dir():
                self.read_only(place)
        if Path("/sys/devices/system").is_dir():
            self.read_only(Path("/sys/devices/system"))
        if self.settings.network and Path("/run/systemd/resolve").is_dir():
            self.read_only(Path("/run/systemd/resolve"))
        self._proc_and_dev()
        self.empty(_TMP, HALF)
        self.empty(_VAR_TMP, EIGHTH)
        self.add("--dir", "/run", "--symlink", "/run", "/var/run")
        for folder in covered.folders:
            self.empty(folder)
        for file in covered.files:
            self.blank(file)
        self._users()

    def _proc_and_dev(self) -> None:
        self.add("--proc", "/proc")
        # Bubblewrap leaves it writable, and files of root's obey who owned them outside, without any capability.
        self.read_only(Path("/proc/sys"))
        if os.geteuid() == 0:
            for name in _PROC_FOLDERS:
                if Path("/proc", name).is_dir():
                    self.empty(Path("/proc", name))
            for name in _PROC_FILES:
                if Path("/proc", name).is_file():
                    self.blank(Path("/proc", name))
        self.add("--dev", "/dev")
        self.empty(_SHM, EIGHTH)
        self.add("--remount-ro", "/dev")

    def _users(self) -> None:
        """For root, who is a different user inside, a line in the list of users."""
        users = Path("/etc/passwd")
        if os.geteuid() == 0 and users.is_file():
            line = f"rolecall:x:{ORDINARY}:{ORDINARY}::{Path.home()}:/bin/sh\n"
            self.write(users, line.encode() + users.read_bytes())


def private_bytes(settings: SandboxSettings) -> int:
    """How much all private directories of a command may contain together: they are in memory."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return min(settings.memory_mb << 20, settings.disk_mb << 20, machine)
