"""A request to a model, the same object for every protocol.

Owns the normal form and the questions scripts ask of it. Reading each protocol's body is in
`reading`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tests.modelserver.reply import Call


class Method(StrEnum):
    """How the caller asks for an object."""

    JSON_SCHEMA = "json_schema"
    JSON_MODE = "json_mode"
    TOOLS = "tools"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the conversation; content parts are joined to text."""

    role: str
    text: str = ""
    tool_calls: tuple[Call, ...] = ()
    tool_call_id: str = ""
    reasoning: str = ""


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool the caller offers."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What the model was asked. `index` counts the requests to the server from 0."""

    path: str
    model: str
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    schema: Mapping[str, Any] | None = None
    schema_name: str = ""
    method: Method = Method.NONE
    stream: bool = False
    usage_in_stream: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    index: int = 0

    @property
    def title(self) -> str:
        """The title of the schema asked for, found in the prompt if the wire has none, or ""."""
        if self.schema is not None and self.schema.get("title"):
            return str(self.schema["title"])
        if self.schema_name:
            return self.schema_name
        # With tools on offer a schema in the text is something the tools showed.
        shown = None if self.tools else self.prompted_schema
        return str((shown or {}).get("title", ""))

    @property
    def prompted_schema(self) -> Mapping[str, Any] | None:
        """The last JSON schema written out in the prompt."""
        found = None
        for message in self.messages:
            if message.role in {"system", "developer", "user"} and '"properties"' in message.text:
                found = _last_schema(message.text) or found
        return found

    @property
    def tool_names(self) -> tuple[str, ...]:
        """The names of the tools offered."""
        return tuple(tool.name for tool in self.tools)

    @property
    def system(self) -> str:
        """All system text."""
        return "\n".join(m.text for m in self.messages if m.role in {"system", "developer"})

    @property
    def prompt(self) -> str:
        """All text of the conversation."""
        return "\n".join(message.text for message in self.messages)

    @property
    def last(self) -> Message:
        """The last message, an empty one if there is none."""
        return self.messages[-1] if self.messages else Message("")

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every tool call the model made in this conversation, oldest first."""
        return tuple(call for message in self.messages for call in message.tool_calls)

    @property
    def tool_results(self) -> tuple[Message, ...]:
        """Every tool result in this conversation, oldest first."""
        return tuple(message for message in self.messages if message.role == "tool")

    def result_of(self, call: Call) -> str | None:
        """The text a call of this conversation returned; None while it has no result."""
        for made, result in pair(self.messages):
            if made is call:
                return result
        return None

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompt as this server counts them."""
        offered = json.dumps([dict(tool.parameters) for tool in self.tools]) if self.tools else ""
        said = sum(len(call.text) for call in self.calls)
        return count_tokens(self.prompt + offered) + said // 4 + 4 * len(self.messages)


def pair(messages: Sequence[Message]) -> Iterator[tuple[Call, str | None]]:
    """Each tool call with its result: found by id, by order where a client sends no ids."""
    for place, message in enumerate(messages):
        results = []
        for later in messages[place + 1 :]:
            if later.role != "tool":
                break
            results.append(later)
        for number, call in enumerate(message.tool_calls):
            named = [later for later in results if call.id and later.tool_call_id == call.id]
            found = named or (results[number : number + 1] if not call.id else [])
            yield call, found[0].text if found else None


def count_tokens(text: str) -> int:
    """Tokens of a text: one for each four characters begun."""
    return -(-len(text) // 4)


def _last_schema(text: str) -> Mapping[str, Any] | None:
    decoder, found, start = json.JSONDecoder(), None, text.find("{")
    while start >= 0:
        try:
            value, end = decoder.raw_decode(text, start)
        except json.JSONDecodeError:
            value, end = None, start + 1
        if isinstance(value, dict) and isinstance(value.get("properties"), dict):
            found = value
        start = text.find("{", end)
    return found
