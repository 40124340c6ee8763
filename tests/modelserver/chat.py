"""Replies in the form of `/v1/chat/completions`: one object, or SSE chunks that end in [DONE].

Owns the wire form only.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.modelserver.faults import Fault
from tests.modelserver.frames import Frame, Kind, Rendered, Turn, sse, wire_arguments


def render_chat(turn: Turn) -> Rendered:
    """Dress a turn as a chat completion."""
    choices = [] if turn.reply.fault is Fault.EMPTY_CHOICES else [_choice(turn)]
    body = {**_head(turn, "chat.completion"), "choices": choices, "usage": usage(turn)}
    return Rendered(body, tuple(_frames(turn)), "text/event-stream")


def usage(turn: Turn) -> dict[str, Any]:
    """The usage object of Chat Completions."""
    return {
        "prompt_tokens": turn.prompt_tokens,
        "completion_tokens": turn.completion_tokens,
        "total_tokens": turn.prompt_tokens + turn.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": turn.reasoning_tokens},
    }


def _head(turn: Turn, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{turn.id}",
        "object": kind,
        "created": turn.created,
        "model": turn.request.model or "scripted",
    }


def _choice(turn: Turn) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": turn.text or None}
    if turn.reply.fault in {Fault.EMPTY_CONTENT, Fault.REASONING_ONLY}:
        message["content"] = ""
    if turn.reasoning:
        message[turn.reply.reasoning_style] = turn.reasoning
    if turn.calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": wire_arguments(call)},
            }
            for call in turn.calls
        ]
    return {"index": 0, "message": message, "finish_reason": turn.finish}


def _chunk(turn: Turn, delta: Mapping[str, Any], finish: str | None = None) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return sse({**_head(turn, "chat.completion.chunk"), "choices": choices})


def _frames(turn: Turn) -> Iterator[Frame]:
    if turn.reply.fault is Fault.EMPTY_CHOICES:
        empty = {**_head(turn, "chat.completion.chunk"), "choices": []}
        yield Frame(Kind.TOKEN, sse(empty))
    else:
        yield Frame(Kind.OPEN, _chunk(turn, {"role": "assistant", "content": None}))
        for delta in _deltas(turn):
            yield Frame(Kind.TOKEN, _chunk(turn, delta))
        yield Frame(Kind.FINISH, _chunk(turn, {}, turn.finish))
    if turn.request.usage_in_stream:
        last = {**_head(turn, "chat.completion.chunk"), "choices": [], "usage": usage(turn)}
        yield Frame(Kind.END, sse(last))
    yield Frame(Kind.END, b"data: [DONE]\n\n")


def _deltas(turn: Turn) -> Iterator[dict[str, Any]]:
    for piece in turn.pieces(turn.reasoning):
        yield {turn.reply.reasoning_style: piece}
    for piece in turn.pieces(turn.text):
        yield {"content": piece}
    for place, call in enumerate(turn.calls):
        named = {"name": call.name, "arguments": ""}
        yield _call_delta(place, named, id=call.id, type="function")
        arguments = wire_arguments(call)
        if not isinstance(arguments, str):
            yield _call_delta(place, {"arguments": arguments})
            continue
        for piece in turn.pieces(arguments):
            yield _call_delta(place, {"arguments": piece})


def _call_delta(place: int, function: Mapping[str, Any], **more: str) -> dict[str, Any]:
    return {"tool_calls": [{"index": place, **more, "function": function}]}
