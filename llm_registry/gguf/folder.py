"""The directory of running GGUF servers: which run, under which lock, on which port. Starts nothing.

Each server has `<key>.json` (pid and options), `<key>.url` (written when it listens), `<key>.lock` and `<key>.log`.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from core.errors import ModelError
from core.storage.user_state import STATE_DIR_VARIABLE, state_folder
from llm_registry.endpoints.slots import is_running

_POLL_S = 0.05
_LOCK_S = 60.0
_POLITE_S = 5.0


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A live server process, perhaps still loading."""

    pid: int
    created: float
    path: str
    url: str
    """Empty until it listens."""


def runtime_dir() -> Path:
    """The directory of running servers, readable by this user only.

    Raises:
        ModelError: The directory belongs to someone else.
    """
    home = state_folder() / "gguf"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if home.stat().st_uid != os.getuid():
        raise ModelError(
            f"the directory {home} belongs to another user", hint=f"set {STATE_DIR_VARIABLE} to a directory you own"
        )
    return home


@contextlib.asynccontextmanager
async def server_lock(path: Path) -> AsyncIterator[None]:
    """Hold the lock of one server; the kernel frees it when its holder dies."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + _LOCK_S
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ModelError(f"another process has held {path} for over {_LOCK_S:g} s") from None
                await asyncio.sleep(_POLL_S)
        yield
    finally:
        os.close(descriptor)


def find_server(home: Path, key: str) -> RunningServer | None:
    """The live server behind a key; leftovers of a dead one are removed."""
    try:
        state: dict[str, Any] = json.loads((home / f"{key}.json").read_text(encoding="utf-8"))
        pid, created = int(state["pid"]), float(state["created"])
        found = RunningServer(pid, created, str(state["path"]), server_url(home, key, pid))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        found = None
    if found is None or not is_alive(found):
        remove_server_files(home, key)
        return None
    return found


def server_url(home: Path, key: str, pid: int) -> str:
    """Where the server listens; empty while it loads."""
    try:
        owner, url = (home / f"{key}.url").read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return ""
    return url if owner == str(pid) else ""


def is_alive(server: RunningServer) -> bool:
    """Whether this very process is still running, and not another one that got its pid."""
    return is_running(server.pid, server.created)


def remove_server_files(home: Path, key: str) -> None:
    """Remove the files that name the server; its log stays."""
    for ending in ("json", "url"):
        (home / f"{key}.{ending}").unlink(missing_ok=True)


def kill_server(server: RunningServer) -> None:
    """End the process, gracefully for up to 5 s. Blocks."""
    if not is_alive(server):
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(server.pid)
        process.terminate()
        deadline = time.monotonic() + _POLITE_S
        # Not `process.wait`: a server that has left our tree may stay a zombie until its new parent looks.
        while is_alive(server) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        if is_alive(server):
            process.kill()
