"""The life of a child process: its group, its end, and what it left running. Knows nothing of sandboxes."""

import asyncio
import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress

import psutil

from tools.processes.process_tree import kill_tree, lives

MARK = "ROLECALL_COMMAND"
"""Environment variable that marks every process a command starts, so that its daemons are found too."""
PLACE_MARK = "ROLECALL_WORKTREE"
"""Environment variable that names the worktree a process was started for."""
_MAX_ROUNDS = 200
_ROUND_S = 0.01
_MAX_LOOKS = 10
_DYING_S = 2.0


async def end_process(process: asyncio.subprocess.Process, mark: str = "") -> None:
    """Kill a process with all its descendants and everything with its mark, and reap it. Does nothing to what has
    ended."""
    if process.returncode is None:
        # From below: as long as it lives, what its children leave behind stays its own.
        for _ in range(_MAX_ROUNDS):
            if not await asyncio.to_thread(kill_tree, process.pid):
                break
            await asyncio.sleep(_ROUND_S)
    # macOS answers EPERM for a group of which only zombies are left.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    if mark:
        await asyncio.to_thread(kill_marked, MARK, mark)
    if process.returncode is None:
        await process.wait()


def kill_marked(name: str, value: str) -> int:
    """Kill this user's processes whose environment contains a variable with a value; blocks until they are gone.

    Returns:
        How many there were.
    """
    total = 0
    # What is killed may have started another a moment before, so only an empty look is the last one.
    for _ in range(_MAX_LOOKS):
        found = [process for process in psutil.process_iter() if _carries(process, name, value)]
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        _wait_for(found, _DYING_S)
        total += len(found)
        if not found:
            break
    return total


def _carries(process: psutil.Process, name: str, value: str) -> bool:
    try:
        return process.pid != os.getpid() and process.environ().get(name) == value
    except (psutil.Error, OSError):
        # Another user's process, or one that ended meanwhile: not ours.
        return False


def _wait_for(processes: Iterable[psutil.Process], seconds: float) -> None:
    """Wait until processes have ended, and reap none: our own children are for the event loop to reap."""
    deadline = time.monotonic() + seconds
    while any(each.is_running() and lives(each) for each in processes) and time.monotonic() < deadline:
        time.sleep(_ROUND_S)
