"""The life of a child process: its group, its end, and what it left running. Knows nothing of sandboxes."""

import asyncio
import os
import signal
import time
from collections.abc import Iterable, Mapping

import psutil

from tools.processes.process_tree import kill_tree

MARK = "ROLECALL_COMMAND"
"""Environment variable that marks every process a command starts, so that daemons of it are found too."""
PLACE_MARK = "ROLECALL_WORKTREE"
"""Environment variable that tells the worktree a process was started for."""
_MAX_ROUNDS = 200
_ROUND_S = 0.01
_MAX_LOOKS = 10
_DYING_S = 2.0


async def end_process(process: asyncio.subprocess.Process, mark: str = "") -> None:
    """Kill a process with all its descendants and all that carries its mark, and reap it. Does nothing to what has
    ended."""
    if process.returncode is None:
        # From below: as long as it lives, what its children leave behind stays its own.
        for _ in range(_MAX_ROUNDS):
            if not await asyncio.to_thread(kill_tree, process.pid):
                break
            await asyncio.sleep(_ROUND_S)
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
        _wait_for(found, _DYING_S)
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


def _wait_for(processes: Iterable[psutil.Process], seconds: float) -> None:
    """Wait until processes have ended, and reap none: our own children are for the event loop to reap."""
    deadline = time.monotonic() + seconds
    while any(_lives(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(_ROUND_S)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


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
