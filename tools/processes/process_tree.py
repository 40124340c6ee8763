"""What a process and all below it use: how many they are, their memory, and what they hold outside any directory."""

import os
import stat
from collections.abc import Sequence
from contextlib import suppress

import psutil


def tree_of(pid: int) -> list[psutil.Process]:
    """A process and all its descendants, zombies left out; blocking, some milliseconds."""
    try:
        top = psutil.Process(pid)
        return [member for member in (top, *top.children(recursive=True)) if lives(member)]
    except psutil.NoSuchProcess:
        return []


def lives(process: psutil.Process) -> bool:
    """Whether a process has not ended, reaped or not."""
    try:
        return process.status() not in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}
    except psutil.NoSuchProcess:
        return False


def kill_tree(pid: int) -> int:
    """Kill all descendants of a process but not itself, so that it can reap them; returns how many were left."""
    members = [member for member in tree_of(pid) if member.pid != pid]
    for member in members:
        with suppress(psutil.Error):
            member.kill()
    return len(members)


def memory_of(tree: Sequence[psutil.Process], *, exact: bool = False) -> int:
    """Bytes of memory of a tree; blocking.

    Args:
        tree: The processes.
        exact: Count shared pages once, as far as the kernel tells, which takes longer; else in full.
    """
    return sum(_memory(member, exact=exact) for member in tree)


def unlinked_bytes(tree: Sequence[psutil.Process]) -> int:
    """Bytes of open files that have no name any more or never had one, on Linux; blocking."""
    seen: dict[tuple[int, int], int] = {}
    for member in tree:
        folder, names = f"/proc/{member.pid}/fd", list[str]()
        with suppress(OSError):  # ended, or not ours to look at
            names = os.listdir(folder)
        for name in names:
            with suppress(OSError):
                status = os.stat(f"{folder}/{name}")
                if stat.S_ISREG(status.st_mode) and status.st_nlink == 0:
                    seen[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(seen.values())


def _memory(process: psutil.Process, *, exact: bool) -> int:
    try:
        resident: int = process.memory_info().rss
    except psutil.Error:
        return 0
    try:
        return getattr(process.memory_full_info(), "pss", resident) if exact else resident
    except psutil.Error:
        return resident
