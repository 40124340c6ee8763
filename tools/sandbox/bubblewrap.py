"""The bubblewrap sandbox around one worktree. Owns what is mounted, in which order, and how bubblewrap is started.

Later mounts cover earlier ones, so the order of the steps below is the policy.
"""

import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from core.config.settings import SandboxSettings
from core.errors import ConfigError
from core.secret_files import SecretFiles
from tools.git.location import git_command
from tools.sandbox.git_view import GitView, git_view
from tools.sandbox.hidden_files import HiddenPaths, find_hidden
from tools.sandbox.launch import Launch, counts_tasks_apart, open_for_child, with_limits
from tools.sandbox.mounts import ORDINARY, QUARTER, Mounts
from tools.sandbox.seccomp import seccomp_filter
from tools.sandbox.visible_folders import INSTALLED, HostPaths, shown_folders
from tools.worktree.staging_rules import name_some

_MOST_BLANKS = 500
"""Maximum number of files hidden one by one; bubblewrap's time grows with the square of it."""
_ASKED_S = 10
_DAEMON_FOLDERS = (Path("/nix/var/nix/daemon-socket"),)

T = TypeVar("T", str, Path)


@dataclass(frozen=True, slots=True)
class BubblewrapFeatures:
    """What this bubblewrap can do."""

    program: str
    sizes: bool = True
    """Limits the size of empty directories."""
    locks_namespaces: bool = True
    """Forbids new user namespaces inside."""


@dataclass(frozen=True, slots=True)
class Bubblewrap:
    """The worktree and a private /tmp are writable, the system and toolchains readable, the rest is absent."""

    features: BubblewrapFeatures
    settings: SandboxSettings
    scene: HostPaths
    git: GitView
    machine: HiddenPaths
    """What is hidden in the system's own directories."""
    tracked: tuple[str, ...]
    """Of what git knows in the worktree: files that look secret, and toolchain directories that are code."""
    shown: tuple[Path, ...] = ()
    blanked: tuple[Path, ...] = ()
    """Secret-looking files and sockets in what is shown."""
    unsearched: tuple[Path, ...] = ()
    """Folders in what is shown that were too large to be searched for them to the end."""

    @property
    def policy(self) -> str:
        """What it does, in one sentence."""
        net = "network allowed, the machine's own services included" if self.settings.network else "no network"
        history = ""
        if self.git.hidden:
            history = f'; git history hidden ({self.git.hidden}; sandbox.git_history: "show" shows it)'
        cut = ", ".join(map(str, dict.fromkeys((*self.machine.unsearched, *self.unsearched))))
        unsearched = f"; not all of it searched for secret-looking files: {cut}" if cut else ""
        calls = "" if seccomp_filter() else ", system calls not filtered on this processor"
        return (
            f"commands run in bubblewrap: {net}, only the worktree and a private /tmp writable, home and the rest of "
            f"the checkout hidden, no secrets in the environment, no capabilities{calls}; per command at most "
            f"{self.settings.memory_mb} MB of memory, {self.settings.max_processes} processes, "
            f"{self.settings.disk_mb} MB of new files{history}{unsearched}"
        )

    def launch(self, argv: list[str], cwd: Path, scratch: Path | None = None, *, told: bool = False) -> Launch:
        """How to run a command line in the sandbox.

        Args:
            argv: Program and arguments.
            cwd: Working directory.
            scratch: A directory for temporary files besides /tmp; without one, the user's TMPDIR is dropped.
            told: Whether bubblewrap reports the status of the command.
        """
        mounts = Mounts(self.settings, self.features.sizes)
        mounts.add(*self._isolation())
        program = seccomp_filter()
        if program is not None:
            mounts.files.append(open_for_child(program))
            mounts.add("--seccomp", str(mounts.files[-1]))
        mounts.system(self.machine)
        self._places(mounts)
        if scratch:
            mounts.bind(scratch.resolve())
        else:
            mounts.add("--unsetenv", "TMPDIR")
        mounts.add("--remount-ro", "/", "--chdir", str(cwd.resolve()))
        status = None
        if told:
            status, tells = os.pipe()
            os.set_blocking(status, False)
            mounts.files.append(tells)
            mounts.add("--json-status-fd", str(tells))
        listing = open_for_child(b"".join(os.fsencode(step) + b"\0" for step in mounts.steps))
        inner = with_limits(argv, self.settings, tasks=counts_tasks_apart())
        command = [self.features.program, "--args", str(listing), "--", *inner]
        return Launch(command, (*mounts.files, listing), status)

    def showing(self, readable: Sequence[Path]) -> "Bubblewrap":
        """The same sandbox with more directories readable; blocking, inspects the machine again."""
        shown = shown_folders(self.scene, (*self.shown, *readable), self.tracked)
        new = [folder for folder in shown if not any(folder.is_relative_to(old) for old in self.shown)]
        found = find_hidden(new, SecretFiles(self.settings.show))
        blanked = coverable((*self.blanked, *found.files))
        return replace(self, shown=shown, blanked=blanked, unsearched=(*self.unsearched, *found.unsearched))

    def _isolation(self) -> Iterator[str]:
        is_root = os.geteuid() == 0
        yield from ("--die-with-parent", "--new-session", "--unshare-user")
        yield from ("--uid", str(ORDINARY if is_root else os.geteuid()))
        yield from ("--gid", str(ORDINARY if is_root else os.getegid()))
        yield from ("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--cap-drop", "ALL")
        if self.features.locks_namespaces:
            yield "--disable-userns"
        if not self.settings.network:
            yield "--unshare-net"

    def _places(self, mounts: Mounts) -> None:
        """Home and checkout are hidden, and the needed parts are mounted on top."""
        scene = self.scene
        covers = dict.fromkeys(scene.homes, QUARTER) if scene.has_home else {}
        covers_checkout = scene.repo != scene.root and scene.repo not in covers
        if covers_checkout:
            covers[scene.repo] = 0
        for place in sorted(covers, key=lambda it: len(it.parts)):
            mounts.empty(place, covers[place])
        mounts.bind(scene.root)
        if (scene.root / ".git").is_file() and not (scene.root / ".git").is_symlink():
            mounts.read_only(scene.root / ".git")
        self._git_data(mounts)
        for folder in self.shown:
            mounts.read_only(folder.resolve(), folder)
        for place in (*self.blanked, *self._secrets_of_worktree()):
            mounts.blank(place)
        if covers_checkout:
            mounts.add("--remount-ro", str(scene.repo))

    def _git_data(self, mounts: Mounts) -> None:
        if self.git.folder is None:
            return
        if self.git.folder.is_relative_to(self.scene.root):
            mounts.empty(self.git.folder)
        for place in self.git.shown:
            mounts.read_only(place.resolve(), place)
        for place, content in self.git.written:
            mounts.write(place, content)

    def _secrets_of_worktree(self) -> Iterator[Path]:
        """Existing tracked files that look like secrets: a mount would create the others."""
        for name in self.tracked:
            place = self.scene.root / name
            if place.is_file() and place.resolve() == place:
                yield place


def features_of(program: str) -> BubblewrapFeatures:
    """Ask a bubblewrap what it can do; blocking.

    Raises:
        OSError: It cannot be started.
        subprocess.TimeoutExpired: It does not answer.
    """
    told = subprocess.run([program, "--help"], check=False, capture_output=True, timeout=_ASKED_S)
    text = told.stdout + told.stderr
    return BubblewrapFeatures(program, sizes=b"--size" in text, locks_namespaces=b"--disable-userns" in text)


def build_walls(
    features: BubblewrapFeatures, root: Path, repo: Path, readable: Sequence[Path], settings: SandboxSettings
) -> Bubblewrap:
    """Inspect the machine and decide what is visible inside; blocking.

    Args:
        features: What the program can do.
        root: The worktree.
        repo: The user's checkout.
        readable: Additional directories that must stay readable.
        settings: Network, history, limits, and which secret-looking files are shown.
    """
    secret_files = SecretFiles(settings.show)
    scene = HostPaths(root.resolve(), repo.resolve(), Path.home())
    machine = find_hidden([Path("/etc")], secret_files, closed=True)
    more = find_hidden([Path("/opt"), Path("/usr/local")], secret_files, closed=True)
    daemons = tuple(folder for folder in _DAEMON_FOLDERS if folder.is_dir())
    covered = HiddenPaths(
        coverable((*machine.files, *more.files)), (*daemons, *machine.folders, *more.folders),
        (*machine.unsearched, *more.unsearched),
    )  # fmt: skip
    git = git_view(scene.root, scene.repo, settings.git_history, secret_files)
    walls = Bubblewrap(features, settings, scene, git, covered, _tracked(scene, secret_files))
    if scene.root == scene.repo:
        inside = find_hidden([scene.root], secret_files)
        walls = replace(walls, blanked=coverable(inside.files), unsearched=inside.unsearched)
    return walls.showing(readable)


def coverable(files: Sequence[T]) -> tuple[T, ...]:
    """The files to be hidden.

    Raises:
        ConfigError: There are more than can be hidden; the rest would be readable inside.
    """
    if len(files) <= _MOST_BLANKS:
        return tuple(files)
    raise ConfigError(
        f"{len(files)} files look like they contain secrets, and the sandbox can hide at most {_MOST_BLANKS}: "
        f"{name_some(map(str, files))}",
        hint="list those that commands may read in `sandbox.show`, such as *.pem, or remove them from the repository",
    )


def _tracked(scene: HostPaths, secret_files: SecretFiles) -> tuple[str, ...]:
    argv, environment = git_command(scene.root, "ls-files", "-z")
    try:
        done = subprocess.run(argv, cwd=scene.root, env=environment, check=False, capture_output=True, timeout=_ASKED_S)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    names = [name for name in done.stdout.decode("utf-8", "surrogateescape").split("\0") if name]
    tops = {name.partition("/")[0] for name in names} & set(INSTALLED)
    return (*coverable(secret_files.hidden_among(names)), *sorted(tops))
