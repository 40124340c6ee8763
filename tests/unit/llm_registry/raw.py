"""Servers that say whatever a test wants, byte by byte; no connection of theirs outlives the test."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_server(handler: Handler) -> AsyncIterator[str]:
    """A port that answers what the handler writes; yields its `/v1` address."""
    running: set[asyncio.Task[Any] | None] = set()

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        running.add(task)
        # A caller that has heard enough hangs up.
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await handler(reader, writer)
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()
        finally:
            running.discard(task)

    server = await asyncio.start_server(guarded, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()
        for task in [one for one in running if one is not None]:
            task.cancel()
        while running:
            await asyncio.sleep(0.01)


@asynccontextmanager
async def paths(answers: Mapping[str, Any], statuses: Mapping[str, int] | None = None) -> AsyncIterator[str]:
    """A server that gives each path its body, and everything else a 404; yields its address without a path."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split(b" ")[1].decode()
        status = (statuses or {}).get(path, 200 if path in answers else 404)
        body = json.dumps(answers.get(path, {"error": "not found"})).encode()
        writer.write(f"HTTP/1.1 {status} X\r\nConnection: close\r\n\r\n".encode() + body)

    async with raw_server(handle) as url:
        yield url.removesuffix("/v1")
