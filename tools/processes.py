"""The life of a child process: its group, its end, and what it left running. Knows nothing of sandboxes."""

import asyncio
import os
import signal
from collections.abc import Mapping

import psutil

MARK = "ROLECALL_COMMAND"
"""Environment variable that marks every process a command starts, so that daemons of it are found too."""


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
    """Kill the processes of this user whose environment holds a variable with a value.

    Returns:
        How many there were.
    """
    found = 0
    for process in psutil.process_iter():
        if process.pid != os.getpid() and _environment_of(process).get(name) == value:
            found += 1
            _kill(process)
    return found


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
