"""Replies in the form of `/v1/responses`: output items, or the full set of stream events.

Owns the wire form only; the server remembers what `previous_response_id` refers to.
"""

from collections.abc import Iterator
from typing import Any

from tests.modelserver.faults import Fault
from tests.modelserver.frames import Frame, Kind, Rendered, Turn, sse, wire_arguments

Item = dict[str, Any]


def render_responses(turn: Turn) -> Rendered:
    """Dress a turn as a response."""
    return Rendered(_whole(turn), tuple(_numbered(turn)), "text/event-stream")


def response_id(turn: Turn) -> str:
    """The id by which a later request continues this response."""
    return f"resp_{turn.id}"


def _items(turn: Turn) -> list[Item]:
    if turn.reply.fault is Fault.EMPTY_CHOICES:
        return []
    items: list[Item] = []
    if turn.reasoning:
        summary = [{"type": "summary_text", "text": turn.reasoning}]
        items.append({"id": f"rs_{turn.id}", "type": "reasoning", "summary": summary})
    if turn.text or not (turn.calls or turn.reasoning):
        part = {"type": "output_text", "text": turn.text, "annotations": []}
        items.append(
            {
                "id": f"msg_{turn.id}",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [part],
            }
        )
    for place, call in enumerate(turn.calls):
        items.append(
            {
                "id": f"fc_{turn.id}{place}",
                "type": "function_call",
                "call_id": call.id,
                "name": call.name,
                "arguments": wire_arguments(call),
                "status": "completed",
            }
        )
    return items


def _whole(turn: Turn) -> dict[str, Any]:
    cut = turn.finish == "length"
    return {
        **_shell(turn),
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": _items(turn),
        "usage": {
            "input_tokens": turn.prompt_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": turn.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": turn.reasoning_tokens},
            "total_tokens": turn.prompt_tokens + turn.completion_tokens,
        },
    }


def _shell(turn: Turn) -> dict[str, Any]:
    body = turn.request.body
    return {
        "id": response_id(turn),
        "object": "response",
        "created_at": turn.created,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "metadata": {},
        "model": turn.request.model or "scripted",
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": body.get("previous_response_id"),
        "temperature": 1.0,
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools") or [],
        "top_p": 1.0,
        "text": body.get("text") or {"format": {"type": "text"}},
        "usage": None,
    }


Event = tuple[Kind, dict[str, Any]]


def _numbered(turn: Turn) -> Iterator[Frame]:
    for number, (kind, event) in enumerate(_events(turn)):
        yield Frame(kind, sse({**event, "sequence_number": number}, event["type"]))


def _events(turn: Turn) -> Iterator[Event]:
    yield Kind.OPEN, {"type": "response.created", "response": _shell(turn)}
    yield Kind.OPEN, {"type": "response.in_progress", "response": _shell(turn)}
    for place, item in enumerate(_items(turn)):
        started = {**item, "status": "in_progress", **_EMPTY[item["type"]]}
        if item["type"] == "reasoning":
            started.pop("status")
        yield Kind.OPEN, _item_event("added", place, started)
        yield from _ITEM_EVENTS[item["type"]](turn, place, item)
        yield Kind.TOKEN, _item_event("done", place, item)
    whole = _whole(turn)
    yield Kind.FINISH, {"type": f"response.{whole['status']}", "response": whole}


_EMPTY: dict[str, Item] = {
    "message": {"content": []},
    "function_call": {"arguments": ""},
    "reasoning": {"summary": []},
}


def _item_event(what: str, place: int, item: Item) -> dict[str, Any]:
    return {"type": f"response.output_item.{what}", "output_index": place, "item": item}


def _message_events(turn: Turn, place: int, item: Item) -> Iterator[Event]:
    where = {"item_id": item["id"], "output_index": place, "content_index": 0}
    part = item["content"][0]
    empty = {**part, "text": ""}
    yield Kind.OPEN, {"type": "response.content_part.added", **where, "part": empty}
    for piece in turn.pieces(part["text"]):
        delta = {"type": "response.output_text.delta", **where, "delta": piece, "logprobs": []}
        yield Kind.TOKEN, delta
    done = {"type": "response.output_text.done", **where, "text": part["text"], "logprobs": []}
    yield Kind.TOKEN, done
    yield Kind.TOKEN, {"type": "response.content_part.done", **where, "part": part}


def _call_events(turn: Turn, place: int, item: Item) -> Iterator[Event]:
    where = {"item_id": item["id"], "output_index": place}
    arguments = item["arguments"]
    pieces = turn.pieces(arguments) if isinstance(arguments, str) else iter([arguments])
    for piece in pieces:
        yield (
            Kind.TOKEN,
            {
                "type": "response.function_call_arguments.delta",
                **where,
                "delta": piece,
            },
        )
    yield (
        Kind.TOKEN,
        {
            "type": "response.function_call_arguments.done",
            **where,
            "name": item["name"],
            "arguments": arguments,
        },
    )


def _reasoning_events(turn: Turn, place: int, item: Item) -> Iterator[Event]:
    where = {"item_id": item["id"], "output_index": place, "summary_index": 0}
    part = item["summary"][0]
    base = "response.reasoning_summary"
    yield Kind.OPEN, {"type": f"{base}_part.added", **where, "part": {**part, "text": ""}}
    for piece in turn.pieces(part["text"]):
        yield Kind.TOKEN, {"type": f"{base}_text.delta", **where, "delta": piece}
    yield Kind.TOKEN, {"type": f"{base}_text.done", **where, "text": part["text"]}
    yield Kind.TOKEN, {"type": f"{base}_part.done", **where, "part": part}


_ITEM_EVENTS = {
    "message": _message_events,
    "function_call": _call_events,
    "reasoning": _reasoning_events,
}
