"""Which GGUF servers of this user run, and their end: what the product leaves to the servers themselves."""

import asyncio

from core.config.settings import ModelSpec
from llm_registry.gguf.folder import (
    RunningServer,
    find_server,
    kill_server,
    remove_server_files,
    runtime_dir,
    server_lock,
)
from llm_registry.gguf.server import options_of


async def stop_server(spec: ModelSpec) -> bool:
    """End the server of a spec's file; `False` when none was running."""
    options = await asyncio.to_thread(options_of, spec)
    home = await asyncio.to_thread(runtime_dir)
    key = await asyncio.to_thread(lambda: options.key)
    async with server_lock(home / f"{key}.lock"):
        running = await asyncio.to_thread(find_server, home, key)
        if running is not None:
            await asyncio.to_thread(kill_server, running)
            await asyncio.to_thread(remove_server_files, home, key)
    return running is not None


async def running_servers() -> list[RunningServer]:
    """All live servers of this user."""
    home = await asyncio.to_thread(runtime_dir)
    keys = await asyncio.to_thread(lambda: sorted(path.stem for path in home.glob("*.json")))
    found = [await asyncio.to_thread(find_server, home, key) for key in keys]
    return [one for one in found if one is not None]
