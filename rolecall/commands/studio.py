"""The command `studio`: LangGraph's own development server on the repository's threads."""

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
import webbrowser
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from core.errors import Exit, RolecallError, UsageError
from core.storage.database import database_of
from graph.store.thread_store import ThreadStore
from rolecall.invocation import Invocation
from rolecall.output.warnings import warn
from rolecall.service.lookup import folder_of, settings_for
from rolecall.thread_options import asked, repo_of
from rolecall.web.http_guard import client_url, new_token
from rolecall.web.studio_graph import ASKED_VARIABLE, ORIGINS_VARIABLE, REPO_VARIABLE, STUDIO_ORIGIN, TOKEN_VARIABLE
from tools.git.repository import find_top
from tools.git.state_folder import ensure_layout

if TYPE_CHECKING:
    import httpx

_HOST = "127.0.0.1"
_STARTS_WITHIN_S = 60
_ENDS_WITHIN_S = 10
_SILENT = {"LANGGRAPH_CLI_NO_ANALYTICS": "1", "LANGGRAPH_NO_VERSION_CHECK": "true"}
"""Settings that keep the server off the network."""
_CODES = {signal.SIGINT: Exit.DONE, signal.SIGTERM: Exit.TERMINATED, signal.SIGHUP: Exit.TERMINATED}
"""What ends the server, and our exit code then."""


class StudioError(RolecallError):
    """The server exited by itself."""

    code = "studio"


def studio(options: argparse.Namespace, invocation: Invocation) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    if find_spec("langgraph_api") is None or find_spec("langgraph_cli") is None:
        raise UsageError(
            "LangGraph's development server is not installed",
            hint="install the extra in rolecall's environment: pip install 'rolecall[studio]'",
        )
    _check_origins(options.origin)
    _check_port(options.port)
    return asyncio.run(_studio(options))


def _check_port(port: int) -> None:
    # The server would take another port without a word to us.
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # ports of closed connections are free
        try:
            probe.bind((_HOST, port))
        except (OSError, OverflowError) as error:
            raise UsageError(
                f"port {port} of {_HOST} cannot be used: {error}", hint="give another with --port"
            ) from error


def _check_origins(origins: Sequence[str]) -> None:
    for origin in origins:
        parts = urlsplit(origin)
        if origin != f"{parts.scheme}://{parts.netloc}" or parts.scheme not in {"http", "https"} or "*" in origin:
            raise UsageError(
                f"--origin {origin} is not a web origin", hint="give scheme, host and port only: http://localhost:3000"
            )


async def _studio(options: argparse.Namespace) -> int:
    top = await find_top(folder_of(repo_of(options)))
    loaded = await settings_for(asked(options), top, warn)
    folder = (await ensure_layout(top)).studio
    await asyncio.to_thread(_write, folder, options.origin)
    token = os.environ.get(TOKEN_VARIABLE) or new_token()
    config = {"ROLECALL_CONFIG": str(loaded.path.resolve())} if loaded.path else {}
    words = ["dev", "--no-reload", "--no-browser", "--host", _HOST, "--port", str(options.port)]
    with _signals() as signals:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "langgraph_cli", *words,
            # The server leaves files where it stands, and imports from there: neither is for the repository itself.
            cwd=folder, env={**_quiet(), **os.environ, **config, REPO_VARIABLE: str(top), TOKEN_VARIABLE: token,
                             ORIGINS_VARIABLE: " ".join(options.origin),
                             ASKED_VARIABLE: asked(options).model_dump_json(), **_SILENT},
        )  # fmt: skip
        address = client_url(f"http://{_HOST}:{options.port}", token)
        return await _served(process, signals, _announce(top, address, browser=options.browser))


def _quiet() -> dict[str, str]:
    """Limits the server's log to problems, unless the user wants more of it."""
    return {"LOG_LEVEL": "ERROR", "LOG_COLOR": str(sys.stderr.isatty()).lower()}


@contextmanager
def _signals() -> Iterator[asyncio.Queue[signal.Signals]]:
    """The signals that end the server, as they arrive; none of them ends us first."""
    loop = asyncio.get_running_loop()
    came: asyncio.Queue[signal.Signals] = asyncio.Queue()
    for number in _CODES:
        loop.add_signal_handler(number, came.put_nowait, number)
    try:
        yield came
    finally:
        for number in _CODES:
            loop.remove_signal_handler(number)


async def _served(
    process: asyncio.subprocess.Process, signals: asyncio.Queue[signal.Signals], announce: Coroutine[Any, Any, None]
) -> int:
    """Wait until the server ends, or end it when a signal says so."""
    announcing = asyncio.create_task(announce)
    ended, signalled = asyncio.create_task(process.wait()), asyncio.create_task(signals.get())
    try:
        await asyncio.wait({ended, signalled}, return_when=asyncio.FIRST_COMPLETED)
        code = _CODES[signalled.result()] if signalled.done() else None
    finally:
        signalled.cancel()
        await _end(process, signals)
        announcing.cancel()
        (failed,) = await asyncio.gather(announcing, return_exceptions=True)
        if isinstance(failed, Exception):
            print(f"warning: the threads could not be counted: {failed}", file=sys.stderr)
    if code is None and ended.result() != 0:
        raise StudioError(f"the development server ended with exit code {ended.result()}")
    return int(code or Exit.DONE)


async def _end(process: asyncio.subprocess.Process, signals: asyncio.Queue[signal.Signals]) -> None:
    """End the server, whether or not the signal that ends us reached it too; a second signal does not wait for it."""
    if process.returncode is not None:
        return
    process.terminate()
    ended, again = asyncio.create_task(process.wait()), asyncio.create_task(signals.get())
    await asyncio.wait({ended, again}, timeout=_ENDS_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
    again.cancel()
    if process.returncode is None:
        process.kill()
    await ended


async def _announce(top: Path, url: str, *, browser: bool) -> None:
    """Say where the server is, once it answers."""
    import httpx

    async with httpx.AsyncClient(base_url=url, trust_env=False) as probe:
        for _ in range(_STARTS_WITHIN_S * 2):
            if await _answers(probe):
                break
            await asyncio.sleep(0.5)
    rows = await ThreadStore(database_of(top)).list() if database_of(top).path.is_file() else []
    there = f"{len(rows)} thread{' is' if len(rows) == 1 else 's are'} open"
    print(f"{top}: {there} at {url}; anyone with this address can start runs. Ctrl-C stops it", file=sys.stderr)
    if browser:
        await asyncio.to_thread(webbrowser.open, f"{STUDIO_ORIGIN}/studio/?baseUrl={quote(url, safe='')}")


async def _answers(probe: "httpx.AsyncClient") -> bool:
    import httpx

    try:
        return (await probe.get("/ok")).is_success
    except httpx.TransportError:
        return False


def served_config(origins: Sequence[str] = ()) -> dict[str, Any]:
    """What the server reads as its langgraph.json; the checkout's own, for `langgraph dev`, is the same.

    Args:
        origins: Web origins besides Studio's own whose pages may use the server.
    """
    cors = {
        "allow_origins": [STUDIO_ORIGIN, *origins],
        "allow_methods": ["*"],
        "allow_headers": ["*"],
        "expose_headers": ["content-location", "x-pagination-total", "x-pagination-next"],
    }
    # Webhooks send what a thread holds elsewhere; the other two let in callers of kinds that nobody asked for.
    closed = {"disable_webhooks": True, "disable_mcp": True, "disable_a2a": True}
    return {
        "dependencies": ["."],
        "graphs": {"rolecall": "rolecall.web.studio_graph:make_graph"},
        "checkpointer": {"path": "rolecall.web.studio_graph.make_checkpointer"},
        "http": {"app": "rolecall.web.studio_app:app", "cors": cors, **closed},
    }


def _write(folder: Path, origins: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "langgraph.json").write_text(json.dumps(served_config(origins), indent=2), encoding="utf-8")
