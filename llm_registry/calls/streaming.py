"""Runs one chat model for one answer, under deadlines. Owns the timers; the text is read in `normalize`.

Every answer is streamed, even if not displayed: only this distinguishes a model that reads a long prompt from one
that hangs.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import add_ai_message_chunks
from langchain_core.runnables import RunnableConfig

from core.config.settings import Timeouts
from llm_registry.failures.errors import CallFailure, ErrorKind

_SILENT: RunnableConfig = {"callbacks": []}
"""The caller's callbacks see the role's answer once, not each piece and each retry of it."""


_NOTHING = "No generation chunks"
"""The library's wording."""


class EmptyStream(Exception):  # noqa: N818 - leads to another way of asking
    """A stream without a single chunk."""


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer as the model library returned it. Times are seconds since the call started."""

    message: AIMessage
    first_token_s: float | None
    seconds: float


async def stream_answer(
    model: Any, messages: Sequence[BaseMessage], timeouts: Timeouts, options: dict[str, Any]
) -> RawAnswer:
    """Stream one answer to its end.

    Args:
        model: A chat model of LangChain.
        messages: The conversation.
        timeouts: Deadlines for the first token, between chunks, and for the whole answer.
        options: Arguments of this call: tools, formats.

    Raises:
        CallFailure: A deadline passed.
        EmptyStream: The stream ended before it started.
    """
    began = time.monotonic()
    pieces: list[AIMessageChunk] = []
    first: float | None = None
    stream = cast("AsyncIterator[Any]", model.astream(list(messages), config=_SILENT, **options))
    async with aclosing(stream):  # type: ignore[type-var]
        while True:
            limit, kind = _deadline(timeouts, first, time.monotonic() - began)
            try:
                async with asyncio.timeout(limit):
                    piece = await anext(stream, None)
            except TimeoutError as error:
                raise _late(error, kind, timeouts) from error
            except ValueError as error:
                if pieces or _NOTHING not in str(error):
                    raise
                raise EmptyStream from error
            if piece is None:
                break
            pieces.append(piece)
            thought = piece.additional_kwargs.get("reasoning_content")
            if first is None and (piece.content or piece.tool_call_chunks or thought):
                first = time.monotonic() - began
    if not pieces:
        raise EmptyStream
    return RawAnswer(add_ai_message_chunks(pieces[0], *pieces[1:]), first, time.monotonic() - began)


async def invoke_unstreamed(model: Any, messages: Sequence[BaseMessage], options: dict[str, Any]) -> RawAnswer:
    """Get the answer of a model that runs in this process: it has no stream and no connection to lose."""
    began = time.monotonic()
    message = await model.ainvoke(list(messages), config=_SILENT, **options)
    seconds = time.monotonic() - began
    message.response_metadata.setdefault("finish_reason", "stop")
    return RawAnswer(message, seconds, seconds)


def _deadline(timeouts: Timeouts, first: float | None, elapsed: float) -> tuple[float, ErrorKind]:
    left = max(timeouts.total - elapsed, 0.0)
    phase = (timeouts.first_token - elapsed, ErrorKind.FIRST_TOKEN_TIMEOUT) if first is None else (
        timeouts.idle, ErrorKind.IDLE_TIMEOUT)  # fmt: skip
    return (left, ErrorKind.TOTAL_TIMEOUT) if left < phase[0] else (max(phase[0], 0.0), phase[1])


def _late(error: TimeoutError, kind: ErrorKind, timeouts: Timeouts) -> CallFailure:
    if error.__cause__ is None and type(error) is not TimeoutError:
        return CallFailure(ErrorKind.RESET, str(error) or "the connection timed out")
    said = {
        ErrorKind.FIRST_TOKEN_TIMEOUT: f"no first token within {timeouts.first_token:g} s",
        ErrorKind.IDLE_TIMEOUT: f"no data for {timeouts.idle:g} s in the middle of the answer",
        ErrorKind.TOTAL_TIMEOUT: f"the answer was not finished after {timeouts.total:g} s",
    }
    return CallFailure(kind, said[kind])
