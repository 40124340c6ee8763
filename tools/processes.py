"""The life of a child process: its group, its end, and what it left running. Knows nothing of sandboxes."""

import asyncio
import os
import signal
from collections.abc import Mapping

import psutil

MARK = "ROLECALL_COMMAND"
"""Environment variable that marks every process a command starts, so that daemons of it are found too."""
PLACE_MARK = "ROLECALL_WORKTREE"
"""Environment variable that tells the worktree a process was started for."""
_MAX_LOOKS = 10
_DYING_S = 2.0


def limited(argv: list[str], *, memory_mb: int) -> list[str]:
    """Wrap a command so that it runs under limits on memory, file size and core dumps.

    Args:
        argv: Program and arguments.
        memory_mb: Limit of each process on private memory. Address space is not limited: runtimes reserve it freely.
    """
    limits = f"ulimit -c 0; ulimit -f {8 * 1024 * 1024} 2>/dev/null; ulimit -d {memory_mb * 1024} 2>/dev/null"
    return ["/bin/sh", "-c", f'{limits}; exec "$@"', "sh", *argv]


async def end(process: asyncio.subprocess.Process, mark: str = "") -> None:
    """Kill the group of a process and all that carries its mark, and reap it. Does nothing to what has ended."""
    _kill_group(process.pid)
    if mark:
        await asyncio.to_thread(kill_marked, MARK, mark)
    if process.returncode is None:
        await process.wait()


def kill_marked(name: str, value: str) -> int:
    """Kill the processes of this user whose environment holds a variable with a value; blocking until they are gone.

    Returns:
        How many there were.
    """
    total = 0
    # What is killed may have started another a moment before, so only an empty look is the last one.
    for _ in range(_MAX_LOOKS):
        found = [process for process in psutil.process_iter() if _carries(process, name, value)]
        for process in found:
            _kill(process)
        psutil.wait_procs(found, timeout=_DYING_S)
        total += len(found)
        if not found:
            break
    return total


def _carries(process: psutil.Process, name: str, value: str) -> bool:
    return process.pid != os.getpid() and _environment_of(process).get(name) == value


def _environment_of(process: psutil.Process) -> Mapping[str, str]:
    try:
        return process.environ()
    except (psutil.Error, OSError):
        # Another user's process, or one that ended meanwhile: not ours.
        return {}


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        # macOS answers EPERM for a group of which only zombies are left.
        return
