"""Replies in the form of Ollama's `/api/chat` and `/api/generate`: one object, or JSON lines.

Owns the wire form only.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from tests.modelserver.faults import Fault
from tests.modelserver.frames import Frame, Kind, Rendered, Turn
from tests.modelserver.reply import NOTHING

_NANOSECONDS = 1_000_000_000


def render_ollama(turn: Turn) -> Rendered:
    """Dress a turn as an answer of `/api/chat`."""
    message: dict[str, Any] = {"role": "assistant", "content": turn.text}
    if turn.reasoning:
        message["thinking"] = turn.reasoning
    if turn.calls:
        message["tool_calls"] = _calls(turn)
    whole = {**_head(turn), "message": message, **_tail(turn)}
    if turn.reply.fault is Fault.EMPTY_CHOICES:
        del whole["message"]
    return Rendered(whole, tuple(_frames(turn)), "application/x-ndjson")


def render_generate(turn: Turn) -> Rendered:
    """Dress a turn as an answer of `/api/generate`."""
    whole = {**_head(turn), "response": turn.text, **_tail(turn)}
    lines = [
        Frame(Kind.TOKEN, _line({**_head(turn), "response": piece, "done": False})) for piece in turn.pieces(turn.text)
    ]
    last = Frame(Kind.FINISH, _line({**_head(turn), "response": "", **_tail(turn)}))
    return Rendered(whole, (*lines, last), "application/x-ndjson")


def _head(turn: Turn) -> dict[str, Any]:
    created = datetime.fromtimestamp(turn.created, tz=UTC).isoformat().replace("+00:00", "Z")
    return {"model": turn.request.model or "scripted", "created_at": created}


def _tail(turn: Turn) -> dict[str, Any]:
    # Ollama says "stop" after tool calls, too.
    return {
        "done": True,
        "done_reason": "length" if turn.finish == "length" else "stop",
        "total_duration": _NANOSECONDS // 10,
        "load_duration": _NANOSECONDS // 1000,
        "prompt_eval_count": turn.prompt_tokens,
        "prompt_eval_duration": turn.prompt_tokens * 40_000,
        "eval_count": turn.completion_tokens,
        "eval_duration": turn.completion_tokens * 20_000_000,
    }


def _calls(turn: Turn) -> list[dict[str, Any]]:
    return [
        {
            "id": call.id,
            "function": {
                "index": place,
                "name": call.name,
                "arguments": dict(call.arguments) if call.raw is NOTHING else call.raw,
            },
        }
        for place, call in enumerate(turn.calls)
    ]


def _line(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data).encode() + b"\n"


def _frames(turn: Turn) -> Iterator[Frame]:
    if turn.reply.fault is not Fault.EMPTY_CHOICES:
        for message in _messages(turn):
            said = {"role": "assistant", "content": "", **message}
            line = _line({**_head(turn), "message": said, "done": False})
            yield Frame(Kind.TOKEN, line)
    last: dict[str, Any] = {**_head(turn), **_tail(turn)}
    if turn.reply.fault is not Fault.EMPTY_CHOICES:
        last["message"] = {"role": "assistant", "content": ""}
    yield Frame(Kind.FINISH, _line(last))


def _messages(turn: Turn) -> Iterator[dict[str, Any]]:
    for piece in turn.pieces(turn.reasoning):
        yield {"thinking": piece}
    for piece in turn.pieces(turn.text):
        yield {"content": piece}
    for call in _calls(turn):
        yield {"tool_calls": [call]}
