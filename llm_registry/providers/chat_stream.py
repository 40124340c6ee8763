"""Puts repairs between the streams of OpenAI's client and LangChain, and repairs those of chat completions.

Owns only that: some servers send a tool's arguments as an object where the protocol requires a string.
"""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

StreamRepair = Callable[[AsyncIterator[Any]], AsyncIterator[Any]]


class RepairedStreams:
    """Stands in for an endpoint of the client; everything but streams goes straight through.

    Args:
        endpoint: The real one.
        repair: Corrects the chunks or events of a stream.
    """

    def __init__(self, endpoint: Any, repair: StreamRepair) -> None:
        self._endpoint = endpoint
        self._repair = repair

    def __getattr__(self, name: str) -> Any:
        """Any other attribute."""
        return getattr(self._endpoint, name)

    async def create(self, **payload: Any) -> Any:
        """Ask; a returned stream is corrected."""
        created = await self._endpoint.create(**payload)
        return self._repaired(created) if payload.get("stream") else created

    @asynccontextmanager
    async def _repaired(self, stream: Any) -> AsyncIterator[AsyncIterator[Any]]:
        async with stream as pieces:
            yield self._repair(pieces)


async def repair_chunks(chunks: AsyncIterator[Any]) -> AsyncIterator[dict[str, Any]]:
    """Chunks as plain objects, with arguments as text."""
    async for chunk in chunks:
        # The client does not validate what it parses, so a chunk may hold anything; that is looked at here.
        plain: dict[str, Any] = chunk if isinstance(chunk, dict) else chunk.model_dump(warnings=False)
        choices = plain.get("choices") or [{}]
        for call in (choices[0].get("delta") or {}).get("tool_calls") or []:
            function = call.get("function") or {}
            if not isinstance(function.get("arguments"), str | None):
                function["arguments"] = arguments_text(function["arguments"])
        yield plain


def arguments_text(arguments: Any) -> str:
    """Arguments of a tool call as the text that the protocols require; empty when there are none."""
    return "" if arguments is None else json.dumps(arguments)
