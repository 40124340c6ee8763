"""Watches what a command uses: processes, their total memory, new files. Decides when it is too much and says so;
the caller ends it."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from core.config.settings import SandboxSettings
from tools.processes.process_tree import memory_of, tree_of, unlinked_bytes

_MOST_INODES = 500_000
_DEEP_LOOK_S = 3.0


class Watchdog:
    """Checks the process tree of one command and the disk its worktree is on."""

    def __init__(self, root: Path, settings: SandboxSettings) -> None:
        """Remember the state before the command; blocking."""
        self._root = root
        self._settings = settings
        self._started = time.time()
        disk = os.statvfs(root)
        self._free, self._inodes = disk.f_bavail * disk.f_frsize, disk.f_ffree

    def look(self, pid: int) -> str:
        """Why the command must end; empty while it may continue. Blocking, some milliseconds.

        Args:
            pid: The process at the top of its tree.
        """
        tree = tree_of(pid)
        if len(tree) > self._settings.max_processes:
            return f"it started more than {self._settings.max_processes} processes"
        return self._memory(tree) or self._disk(tree)

    def _memory(self, tree: Sequence[psutil.Process]) -> str:
        most = self._settings.memory_mb << 20
        too_much = f"its processes together used more than {self._settings.memory_mb} MB of memory"
        if memory_of(tree) > most and memory_of(tree, exact=True) > most:
            return too_much
        # Not what it grew by: what others give back meanwhile would hide what the command takes.
        if getattr(psutil.virtual_memory(), "shared", 0) > most and unlinked_bytes(tree) > most:
            return too_much
        return ""

    def _disk(self, tree: Sequence[psutil.Process]) -> str:
        most = self._settings.disk_mb << 20
        disk = os.statvfs(self._root)
        is_filled = self._free - disk.f_bavail * disk.f_frsize > most
        # Others use the disk too: only what the command itself wrote counts.
        if is_filled and (_written_since(self._root, self._started, most) or unlinked_bytes(tree) > most):
            return f"it wrote more than {self._settings.disk_mb} MB, which is still on disk"
        if self._inodes - disk.f_ffree > _MOST_INODES and _count_since(self._root, self._started) > _MOST_INODES // 2:
            return f"it created more than {_MOST_INODES} files, which still exist"
        return ""


def _written_since(root: Path, since: float, most: int) -> bool:
    """Whether files changed since then take more space than allowed; also true when there are too many to tell."""
    total, deadline = 0, time.monotonic() + _DEEP_LOOK_S
    for folder, _, names in os.walk(root):
        total += sum(status.st_blocks * 512 for status in _changed(folder, names, since))
        if total > most or time.monotonic() > deadline:
            return True
    return False


def _count_since(root: Path, since: float) -> int:
    total, deadline = 0, time.monotonic() + _DEEP_LOOK_S
    for folder, folders, names in os.walk(root):
        total += sum(len(folders) + len(names) for _ in _changed(folder, ["."], since))
        if time.monotonic() > deadline:
            return _MOST_INODES
    return total


def _changed(folder: str, names: Sequence[str], since: float) -> Iterator[os.stat_result]:
    for name in names:
        with suppress(OSError):
            status = os.lstat(f"{folder}/{name}")
            if status.st_ctime >= since - 1:
                yield status
