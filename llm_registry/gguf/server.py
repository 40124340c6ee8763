"""Finds or starts the server of a GGUF file: one process per file and options, shared by all runs of the user.

Owns starting and the wait until the file is loaded. Serving, and exiting when idle, is in `worker`; what is running
is in `folder`. Nothing is downloaded.
"""

import asyncio
import hashlib
import importlib.util
import json
import os
import re
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from core.config.settings import ModelSpec
from core.errors import ModelError
from llm_registry.gguf.folder import (
    RunningServer,
    find_server,
    is_alive,
    kill_server,
    runtime_dir,
    server_lock,
    server_url,
)
from llm_registry.specs.optional_deps import install_command

DEFAULT_CTX = 8192
DEFAULT_IDLE_S = 600.0
DEFAULT_START_S = 120.0
_POLL_S = 0.05
_CLOCK = re.compile(r"^[\d.]+ [A-Z] (?:\S+ +\w+: )?")
"""The prefix of the engine's log lines: time, level, source."""
_WORKER = Path(__file__).with_name("worker.py")


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """The options that decide whether two requests share a server. Read from the spec's `options`."""

    path: Path
    threads: int
    ctx: int
    """Tokens one request may contain."""
    slots: int
    """Requests served at the same time; each has its own window."""
    idle_s: float = DEFAULT_IDLE_S
    """Seconds without a request after which the process ends; the value of the first process to start it counts."""
    start_s: float = DEFAULT_START_S
    """How long loading may take."""

    @property
    def key(self) -> str:
        """Name of the server in the runtime directory; a replaced file is another server."""
        stat = self.path.stat()
        parts = (str(self.path), stat.st_size, stat.st_mtime_ns, self.threads, self.ctx, self.slots)
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def options_of(spec: ModelSpec) -> ServerOptions:
    """Read a spec: file from `options.path` or `model`, window from `context_length`.

    Half of the CPUs are used unless `options.threads` says otherwise, so that the machine stays usable.
    """
    given = spec.options
    ctx = given.get("num_ctx") or (spec.context_length if spec.context_length != "auto" else DEFAULT_CTX)
    return ServerOptions(
        path=Path(str(given.get("path") or spec.model)).expanduser().resolve(),
        threads=int(given.get("threads") or max((os.cpu_count() or 2) // 2, 1)),
        ctx=int(ctx),
        slots=int(given.get("slots") or spec.max_concurrency or 1),
        idle_s=float(given.get("idle_s") or DEFAULT_IDLE_S),
        start_s=float(given.get("start_s") or DEFAULT_START_S),
    )


async def ensure_server(spec: ModelSpec) -> str:
    """Return the base URL of the healthy server of a spec's file, starting it when there is none.

    Raises:
        ModelError: The extra or the file is missing, or the server does not come up.
    """
    options = await asyncio.to_thread(options_of, spec)
    _require_extra()
    await asyncio.to_thread(_require_file, options.path)
    home = await asyncio.to_thread(runtime_dir)
    key = await asyncio.to_thread(lambda: options.key)
    while True:
        async with server_lock(home / f"{key}.lock"):
            found = await asyncio.to_thread(find_server, home, key)
            running = found or await _start(options, home, key)
            await asyncio.to_thread((home / f"{key}.json").touch)
        url = await _healthy(running, options, home, key)
        if url:
            return url
        if found is None:
            raise await asyncio.to_thread(_failure, options, home, key)
        # It died between being found and being asked; the next round starts another.


def _require_extra() -> None:
    if importlib.util.find_spec("xllamacpp") is None:
        raise ModelError(
            "provider `gguf` needs llama.cpp's server, which is not installed",
            hint=install_command("gguf"),
        )


def is_gguf(path: Path) -> bool:
    """Whether a file starts like a GGUF file.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return file.read(4) == b"GGUF"


def _require_file(path: Path) -> None:
    try:
        known = is_gguf(path)
    except OSError as error:
        raise ModelError(
            f"cannot read the GGUF file {path}: {error.strerror}",
            hint="set `options.path` to an existing file; nothing is downloaded",
        ) from error
    if not known:
        raise ModelError(f"{path} is not a GGUF file", hint="point `options.path` at a .gguf file")


async def _start(options: ServerOptions, home: Path, key: str) -> RunningServer:
    """Start the worker, which leaves our process tree, and record its identity."""
    told = json.dumps({**asdict(options), "home": home, "key": key}, default=str)
    launcher = await asyncio.create_subprocess_exec(
        sys.executable, "-P", str(_WORKER), told,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd="/",
    )  # fmt: skip
    out, err = await launcher.communicate()
    if launcher.returncode != 0 or not out.strip().isdigit():
        raise ModelError(f"the server of {options.path} could not be started: {err.decode(errors='replace')[-500:]}")
    return await asyncio.to_thread(_write_down, options, home, key, int(out))


def _write_down(options: ServerOptions, home: Path, key: str, pid: int) -> RunningServer:
    try:
        created = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        raise _failure(options, home, key) from None
    state = {"pid": pid, "created": created, **asdict(options), "path": str(options.path)}
    draft = home / f"{key}.json.{os.getpid()}"
    draft.write_text(json.dumps(state), encoding="utf-8")
    draft.rename(home / f"{key}.json")
    return RunningServer(pid, created, str(options.path), "")


async def _healthy(server: RunningServer, options: ServerOptions, home: Path, key: str) -> str:
    """Wait until the server has loaded its file; empty when its process ended."""
    deadline = time.monotonic() + options.start_s
    plain: dict[str, Any] = {"verify": False, "trust_env": False, "follow_redirects": False}  # on the loopback
    async with httpx.AsyncClient(timeout=5.0, **plain) as client:
        while time.monotonic() < deadline:
            url = server.url or await asyncio.to_thread(server_url, home, key, server.pid)
            if url and await _answers(client, url):
                return f"{url}/v1"
            if not await asyncio.to_thread(is_alive, server):
                return ""
            await asyncio.sleep(_POLL_S)
    await asyncio.to_thread(kill_server, server)
    raise ModelError(
        f"{options.path.name} was not loaded after {options.start_s:g} s",
        hint="raise `options.start_s` for a large file, or use a smaller one",
    )


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(f"{url}/health")).status_code == 200
    except httpx.HTTPError:
        return False


def _failure(options: ServerOptions, home: Path, key: str) -> ModelError:
    try:
        lines = (home / f"{key}.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        lines = []
    told = [line for line in lines if " E " in line or "error" in line.lower()][-3:] or lines[-3:]
    told = [_CLOCK.sub("", line) for line in told]
    return ModelError(
        f"the server of {options.path.name} exited while loading: {'; '.join(told) or 'it said nothing'}",
        hint=f"the full log is {home / f'{key}.log'}",
    )
