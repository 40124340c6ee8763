"""What a fault does to the words of a reply: prose for JSON, invented tools, broken arguments.

Owns the spoiling of content, before any protocol is involved. Connections and bodies are spoilt in
`wire`.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.modelserver.faults import Fault
from tests.modelserver.reply import NOTHING, Call, Reply
from tests.modelserver.request import Method, ModelRequest

PROSE = "Sure! I have thought about it and, all in all, I would say it looks good to me."
RAMBLING = "Let me think about what was asked. There are several things to consider here."


def settle(reply: Reply, request: ModelRequest) -> Reply:
    """Return what is said on the wire: spoilt if the reply has a fault, its object placed."""
    spoil = _SPOILERS.get(reply.fault) if reply.fault else None
    return _place(spoil(reply, request) if spoil else reply, request)


def _place(reply: Reply, request: ModelRequest) -> Reply:
    if reply.value is NOTHING:
        return reply
    if request.method is Method.TOOLS:
        call = Call(request.schema_name, dict(reply.value)) if _is_object(reply) else None
        call = call or Call(request.schema_name, raw=json.dumps(reply.value))
        return reply.but(value=NOTHING, tool_calls=(call,))
    return reply.but(value=NOTHING, text=reply.text + json.dumps(reply.value))


def _is_object(reply: Reply) -> bool:
    return isinstance(reply.value, Mapping)


def _words(reply: Reply) -> str:
    return reply.text if reply.value is NOTHING else json.dumps(reply.value, indent=2)


def _prose(reply: Reply, _: ModelRequest) -> Reply:
    return reply.but(value=NOTHING, tool_calls=(), text=PROSE)


def _fenced(reply: Reply, _: ModelRequest) -> Reply:
    text = f"Here is the JSON you asked for:\n\n```json\n{_words(reply)}\n```\n\nHope this helps!"
    return reply.but(value=NOTHING, text=text)


def _think_first(reply: Reply, _: ModelRequest) -> Reply:
    # A brace in the thoughts: taking the first one in sight finds the wrong object.
    text = f'<think>\nMaybe {{"draft": true}} would do? No.\n</think>\n\n{_words(reply)}'
    return reply.but(value=NOTHING, text=text)


def _wrong_types(reply: Reply, _: ModelRequest) -> Reply:
    if not _is_object(reply):
        return reply
    return reply.but(value={key: _wrong(value) for key, value in reply.value.items()})


def _wrong(value: Any) -> Any:
    if isinstance(value, str):
        return {"text": [value]}
    if isinstance(value, bool | int | float):
        return "rather a lot"
    return "see above"


def _wrong_shape(reply: Reply, _: ModelRequest) -> Reply:
    return reply if reply.value is NOTHING else reply.but(value=[reply.value])


def _truncated(reply: Reply, request: ModelRequest) -> Reply:
    said = _place(reply, request)
    if said.tool_calls:
        first = said.tool_calls[0]
        cut = Call(first.name, id=first.id, raw=first.text[: max(1, len(first.text) // 2)])
        return said.but(tool_calls=(cut,), finish="length")
    return said.but(text=said.text[: max(1, len(said.text) // 2)], finish="length")


def _silent(reply: Reply, _: ModelRequest) -> Reply:
    return reply.but(value=NOTHING, tool_calls=(), text="")


def _reasoning_only(reply: Reply, _: ModelRequest) -> Reply:
    return reply.but(value=NOTHING, tool_calls=(), text="", reasoning=reply.reasoning or RAMBLING)


def _invented(reply: Reply, _: ModelRequest) -> Reply:
    call = Call("frobnicate_everything", {"level": 11})
    return reply.but(value=NOTHING, tool_calls=(call,))


def _first_call(reply: Reply, request: ModelRequest) -> Call:
    said = _place(reply, request)
    if said.tool_calls:
        return said.tool_calls[0]
    return Call(request.tool_names[0] if request.tools else "answer", {"path": "a.py"})


def _with_arguments(make: Callable[[Call], Any]) -> "Spoiler":
    def spoil(reply: Reply, request: ModelRequest) -> Reply:
        first = _first_call(reply, request)
        return reply.but(value=NOTHING, tool_calls=(Call(first.name, id=first.id, raw=make(first)),))

    return spoil


def _no_arguments(reply: Reply, request: ModelRequest) -> Reply:
    return reply.but(value=NOTHING, tool_calls=(Call(_first_call(reply, request).name, {}),))


def _call_as_text(reply: Reply, request: ModelRequest) -> Reply:
    first = _first_call(reply, request)
    body = json.dumps({"name": first.name, "arguments": dict(first.arguments)})
    return reply.but(value=NOTHING, tool_calls=(), text=f"<tool_call>\n{body}\n</tool_call>")


def _wrong_kind(reply: Reply, request: ModelRequest) -> Reply:
    first = _first_call(reply, request)
    # Chat wants a string and gets an object; Ollama wants an object and gets a string.
    raw = first.text if request.path.startswith("/api") else dict(first.arguments)
    return reply.but(value=NOTHING, tool_calls=(Call(first.name, id=first.id, raw=raw),))


Spoiler = Callable[[Reply, ModelRequest], Reply]

_SPOILERS: dict[Fault, Spoiler] = {
    Fault.PROSE: _prose,
    Fault.FENCED_JSON: _fenced,
    Fault.THINK_BEFORE_JSON: _think_first,
    Fault.WRONG_TYPES: _wrong_types,
    Fault.WRONG_SHAPE: _wrong_shape,
    Fault.TRUNCATED: _truncated,
    Fault.EMPTY_CONTENT: _silent,
    Fault.REASONING_ONLY: _reasoning_only,
    Fault.INVENTED_TOOL: _invented,
    Fault.ARGUMENTS_42: _with_arguments(lambda _: "42"),
    Fault.ARGUMENTS_BROKEN: _with_arguments(lambda first: first.text[:-1] + ', "path": '),
    Fault.ARGUMENTS_WRONG_KIND: _wrong_kind,
    Fault.ARGUMENTS_MISSING: _no_arguments,
    Fault.TOOL_CALL_AS_TEXT: _call_as_text,
}
