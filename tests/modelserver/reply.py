"""What a scripted model says, whatever the protocol: text, an object, tool calls, reasoning.

Owns the values a script returns and how they are written in a JSON file. It does not know how
they look on the wire, nor what a fault does to them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.modelserver.faults import Fault

REASONING_STYLES = ("reasoning_content", "reasoning", "think")


class _Nothing:
    def __repr__(self) -> str:
        return "NOTHING"


NOTHING = _Nothing()
"""Stands for "no object", since an object may be null."""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call; `raw` replaces the arguments on the wire exactly as given."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""
    raw: Any = NOTHING

    @property
    def text(self) -> str:
        """The arguments as the JSON text an OpenAI-style server sends."""
        return json.dumps(dict(self.arguments))


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of the model. Times are seconds.

    `value` is an object the model was asked for: it leaves as JSON text, or as a call of the only
    tool when the request asks for structure that way.
    """

    text: str = ""
    value: Any = NOTHING
    tool_calls: tuple[Call, ...] = ()
    reasoning: str = ""
    reasoning_style: str = "reasoning_content"
    fault: Fault | None = None
    finish: str = ""
    delay: float = 0.0
    """Before the first token."""
    pace: float = 0.0
    """Between two streamed pieces; the sum of them, in a reply that is not streamed."""
    piece: int = 12
    """Characters in a streamed piece."""
    prompt_tokens: int | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    """With a status of 400 or more: the whole body, in place of the usual error."""

    def __post_init__(self) -> None:
        if self.reasoning_style not in REASONING_STYLES:
            raise ValueError(f"reasoning_style {self.reasoning_style!r}: use {REASONING_STYLES}")

    def but(self, **changes: Any) -> "Reply":
        """Return this reply with some fields changed."""
        return replace(self, **changes)


def say(text: str, **extra: Any) -> Reply:
    """Answer with text."""
    return Reply(text=text, **extra)


def give(value: Any, **extra: Any) -> Reply:
    """Answer with the object that was asked for."""
    return Reply(value=value, **extra)


def call(name: str, /, **arguments: Any) -> Reply:
    """Answer with one tool call."""
    return Reply(tool_calls=(Call(name, arguments),))


def call_all(*calls: Call, text: str = "") -> Reply:
    """Answer with several tool calls in one message."""
    return Reply(text=text, tool_calls=calls)


def fail(fault: Fault | str, reply: Reply | None = None) -> Reply:
    """Misbehave; `reply` is what a good server would have said."""
    return (reply or Reply(text="The answer is forty-two.")).but(fault=Fault(fault))


def http_error(status: int, body: str | None = None, **headers: str) -> Reply:
    """Answer with an HTTP error; `Retry_After="1"` becomes the header `Retry-After`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, headers=named, body=body)


_FIELDS = {
    "text", "reasoning", "reasoning_style", "finish", "delay", "pace", "piece", "prompt_tokens",
    "status", "headers", "body",
}  # fmt: skip


def read_reply(raw: Mapping[str, Any] | str) -> Reply:
    """Build a reply from a script file.

    Raises:
        ValueError: the entry holds a key this server does not know.
    """
    if isinstance(raw, str):
        return say(raw)
    fields = {key: raw[key] for key in raw if key in _FIELDS}
    if unknown := set(raw) - _FIELDS - {"json", "tool_calls", "fault"}:
        known = sorted(_FIELDS | {"json", "tool_calls", "fault"})
        raise ValueError(f"unknown keys {sorted(unknown)} in a reply; known: {known}")
    if "json" in raw:
        fields["value"] = raw["json"]
    if "tool_calls" in raw:
        fields["tool_calls"] = tuple(_read_call(entry) for entry in raw["tool_calls"])
    if "fault" in raw:
        fields["fault"] = Fault(raw["fault"])
    return Reply(**fields)


def _read_call(raw: Mapping[str, Any]) -> Call:
    return Call(raw["name"], raw.get("arguments", {}), raw.get("id", ""), raw.get("raw", NOTHING))
