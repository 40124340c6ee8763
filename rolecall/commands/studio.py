"""The command `studio`: LangGraph's own development server on the repository's threads."""

import argparse
import asyncio
import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import RolecallError, UsageError
from rolecall.invocation import Invocation
from rolecall.place import FOLDER, folder_of, settings_for

if TYPE_CHECKING:
    import httpx

_SERVED = {
    "dependencies": ["."],
    "graphs": {"rolecall": "rolecall.studio:make_graph"},
    "checkpointer": {"path": "rolecall.studio.make_checkpointer"},
}

_STARTS_WITHIN_S = 60


class StudioError(RolecallError):
    """The server ended by itself."""

    code = "studio"


def studio(options: argparse.Namespace, invocation: Invocation) -> int:
    """Serve until Ctrl-C."""
    if find_spec("langgraph_api") is None or find_spec("langgraph_cli") is None:
        raise UsageError(
            "the development server of LangGraph is not installed",
            hint="install the extra in the environment of rolecall: pip install 'rolecall[studio]'",
        )
    try:
        return asyncio.run(_studio(options))
    except KeyboardInterrupt:
        return 0


async def _studio(options: argparse.Namespace) -> int:
    from tools.git import Git
    from tools.repository import exclude_rolecall, find_top

    top = await find_top(folder_of(options))
    loaded = await settings_for(options, top)
    await exclude_rolecall(Git(top))
    folder = top / FOLDER / "studio"
    await asyncio.to_thread(_write, folder)
    config = {"ROLECALL_CONFIG": str(loaded.path.resolve())} if loaded.path else {}
    words = ["dev", "--no-reload", "--port", str(options.port), *([] if options.browser else ["--no-browser"])]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "langgraph_cli", *words,
        # The server leaves files where it stands, and imports from there: neither is for the repository itself.
        cwd=folder, env={**os.environ, **config, "ROLECALL_REPO": str(top), "LANGGRAPH_CLI_NO_ANALYTICS": "1"},
    )  # fmt: skip
    adopting = asyncio.create_task(_adopt(top, f"http://127.0.0.1:{options.port}"))
    try:
        code = await process.wait()
    finally:
        await _end(process)
        adopting.cancel()
        (ended,) = await asyncio.gather(adopting, return_exceptions=True)
        if isinstance(ended, Exception):
            print(f"warning: the threads could not be listed in Studio: {ended}", file=sys.stderr)
    if code != 0:
        raise StudioError(f"the development server ended with exit code {code}")
    return 0


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the server, whether or not the Ctrl-C that ends us reached it too."""
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), timeout=10)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _adopt(top: Path, url: str) -> None:
    """Tell the server of the threads that are there; it lists none that it was not told of."""
    import httpx
    from langgraph_sdk import get_client

    from graph.checkpoints import database_of
    from graph.threads import ThreadStore

    async with httpx.AsyncClient(base_url=url, trust_env=False) as probe:
        for _ in range(_STARTS_WITHIN_S * 2):
            if await _answers(probe):
                break
            await asyncio.sleep(0.5)
    rows = await ThreadStore(database_of(top)).list() if database_of(top).is_file() else []
    async with get_client(url=url) as client:
        for row in rows:
            await client.threads.create(
                thread_id=row.thread_id, graph_id="rolecall", metadata={"task": row.task}, if_exists="do_nothing"
            )
    print(f"{len(rows)} threads of {top} are open at {url}; Ctrl-C ends it", file=sys.stderr)


async def _answers(probe: "httpx.AsyncClient") -> bool:
    import httpx

    try:
        return (await probe.get("/ok")).is_success
    except httpx.TransportError:
        return False


def _write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "langgraph.json").write_text(json.dumps(_SERVED, indent=2), encoding="utf-8")
