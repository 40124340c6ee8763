"""What a process and all below it use: how many they are, their memory, and what they hold outside any directory.
Looks at /proc of Linux; elsewhere there is nothing to see, and the answers are empty."""

import os
import signal
import stat
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class TreeProcess:
    """One process of a tree."""

    pid: int
    parent: int
    resident: int
    """Bytes in memory, shared ones counted in full."""


def tree_of(pid: int) -> list[TreeProcess]:
    """A process and all its descendants, zombies left out; blocking, some milliseconds."""
    below: dict[int, list[TreeProcess]] = defaultdict(list)
    found: dict[int, TreeProcess] = {}
    names = [name for name in os.listdir(_PROC) if name.isdigit()] if _PROC.is_dir() else []
    for name in names:
        member, alive = _read(int(name))
        if member is not None:
            below[member.parent].append(member)
            if alive:
                found[member.pid] = member
    waiting, tree = [pid], []
    while waiting:
        current = waiting.pop()
        if current in found:
            tree.append(found[current])
        waiting += [member.pid for member in below.get(current, ())]
    return tree


def kill_tree(pid: int) -> int:
    """Kill all descendants of a process and leave itself, so that it can reap them; gives how many were left."""
    members = [member.pid for member in tree_of(pid) if member.pid != pid]
    for member in members:
        try:
            os.kill(member, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue
    return len(members)


def memory_of(tree: list[TreeProcess]) -> int:
    """Bytes of memory of a tree, shared pages counted once as far as the kernel tells; blocking."""
    return sum(_proportional(member) for member in tree)


def unlinked_bytes(tree: list[TreeProcess]) -> int:
    """Bytes of open files that have no name any more or never had one; blocking."""
    seen: dict[tuple[int, int], int] = {}
    for member in tree:
        folder = f"/proc/{member.pid}/fd"
        try:
            names = os.listdir(folder)
        except OSError:
            # Ended, or not ours to look at.
            continue
        for name in names:
            status = _status(f"{folder}/{name}")
            if status is not None and stat.S_ISREG(status.st_mode) and status.st_nlink == 0:
                seen[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(seen.values())


def _read(pid: int) -> tuple[TreeProcess | None, bool]:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None, False
    if len(fields) < 22:
        return None, False
    return TreeProcess(pid, int(fields[1]), int(fields[21]) * _PAGE), fields[0] not in {b"Z", b"X"}


def _proportional(member: TreeProcess) -> int:
    try:
        with open(f"/proc/{member.pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        return member.resident
    return 0


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None
