"""Hands chat completion chunks to LangChain as plain objects, corrected where servers send arguments of the wrong type.

Owns nothing but that: some servers send a tool's arguments as an object where the protocol has a string.
"""

import json
from collections.abc import AsyncIterator
from typing import Any


class TolerantCompletions:
    """Stands in for `client.chat.completions` of a chat model; everything but streams goes straight through.

    Args:
        completions: The real one.
    """

    def __init__(self, completions: Any) -> None:
        self._completions = completions

    def __getattr__(self, name: str) -> Any:
        """Whatever else is asked of it."""
        return getattr(self._completions, name)

    async def create(self, **payload: Any) -> Any:
        """Ask; a returned stream is corrected."""
        created = await self._completions.create(**payload)
        return _Stream(created) if payload.get("stream") else created


class _Stream:
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aenter__(self) -> AsyncIterator[dict[str, Any]]:
        return _plain(await self._stream.__aenter__())

    async def __aexit__(self, *error: object) -> None:
        await self._stream.__aexit__(*error)


async def _plain(chunks: AsyncIterator[Any]) -> AsyncIterator[dict[str, Any]]:
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
    """Arguments of a tool call as the text that the protocols have in their place; empty text when there are none."""
    return "" if arguments is None else json.dumps(arguments)
