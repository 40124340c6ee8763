"""Watches what a command uses: processes, memory of all together, new files. Decides when it is too much and says so;
who watches ends it."""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from core.config.settings import SandboxSettings
from tools.processes.process_tree import TreeProcess, memory_of, tree_of, unlinked_bytes

_MOST_INODES = 500_000
_DEEP_LOOK_S = 3.0


@dataclass(slots=True)
class Watchdog:
    """Looks at the tree of one command and at the disk its worktree is on."""

    root: Path
    settings: SandboxSettings
    _started: float = field(default_factory=time.time)
    _free: int = 0
    _inodes: int = 0

    def begin(self) -> None:
        """Remember how things stand before the command; blocking."""
        self._started = time.time()
        disk = os.statvfs(self.root)
        self._free, self._inodes = disk.f_bavail * disk.f_frsize, disk.f_ffree

    def look(self, pid: int) -> str:
        """Why the command must end; empty while it may go on. Blocking, some milliseconds.

        Args:
            pid: The process at the top of its tree.
        """
        tree = tree_of(pid)
        if len(tree) > self.settings.max_processes:
            return f"it started more than {self.settings.max_processes} processes"
        return self._memory(tree) or self._disk(tree)

    def _memory(self, tree: list[TreeProcess]) -> str:
        most = self.settings.memory_mb << 20
        too_much = f"its processes together used more than {self.settings.memory_mb} MB of memory"
        resident = sum(member.resident for member in tree)
        if resident > most and memory_of(tree) > most:
            return too_much
        # Not what it grew by: what others give back meanwhile would hide what the command takes.
        if _memory_of_files() > most and unlinked_bytes(tree) > most:
            return too_much
        return ""

    def _disk(self, tree: list[TreeProcess]) -> str:
        most = self.settings.disk_mb << 20
        disk = os.statvfs(self.root)
        is_filled = self._free - disk.f_bavail * disk.f_frsize > most
        # Others use the disk too: only what the command itself wrote counts.
        if is_filled and (_written_since(self.root, self._started, most) or unlinked_bytes(tree) > most):
            return f"it wrote more than {self.settings.disk_mb} MB, which is still on disk"
        if self._inodes - disk.f_ffree > _MOST_INODES and _count_since(self.root, self._started) > _MOST_INODES // 2:
            return f"it created more than {_MOST_INODES} files, which still exist"
        return ""


def _memory_of_files() -> int:
    """Bytes of memory that hold files and shared pieces, on the whole machine."""
    try:
        with open("/proc/meminfo", "rb") as file:
            for line in file:
                if line.startswith(b"Shmem:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        return 0
    return 0


def _written_since(root: Path, since: float, most: int) -> bool:
    """Whether files changed since then take more room than allowed; yes, too, when there are too many to tell."""
    total, deadline = 0, time.monotonic() + _DEEP_LOOK_S
    for folder, _, names in os.walk(root):
        for name in names:
            status = _status(f"{folder}/{name}")
            if status is not None and status.st_ctime >= since - 1:
                total += status.st_blocks * 512
        if total > most or time.monotonic() > deadline:
            return True
    return False


def _count_since(root: Path, since: float) -> int:
    total, deadline = 0, time.monotonic() + _DEEP_LOOK_S
    for folder, folders, names in os.walk(root):
        status = _status(folder)
        if status is not None and status.st_ctime >= since - 1:
            total += len(folders) + len(names)
        if time.monotonic() > deadline:
            return _MOST_INODES
    return total


def _status(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None
