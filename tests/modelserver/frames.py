"""The pieces every protocol's renderer is made of: frames, ids, chunks of text, token counts.

Owns no protocol. A `Rendered` is what the wire sends, whole or frame by frame.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tests.modelserver.reply import NOTHING, Call, Reply
from tests.modelserver.request import ModelRequest, count_tokens


class Kind(StrEnum):
    """What a frame is for, so that faults can find their place."""

    OPEN = "open"
    TOKEN = "token"
    FINISH = "finish"
    END = "end"


@dataclass(frozen=True, slots=True)
class Frame:
    """Bytes sent at once."""

    kind: Kind
    data: bytes


@dataclass(frozen=True, slots=True)
class Rendered:
    """A reply in the words of one protocol."""

    body: Mapping[str, Any]
    frames: tuple[Frame, ...]
    stream_type: str


@dataclass(frozen=True, slots=True)
class Turn:
    """A settled reply with what the protocols need to dress it."""

    request: ModelRequest
    reply: Reply
    id: str
    created: int
    prompt_tokens: int

    @property
    def text(self) -> str:
        """The visible text, with `<think>` when reasoning is told that way."""
        if self.reply.reasoning and self.reply.reasoning_style == "think":
            return f"<think>\n{self.reply.reasoning}\n</think>\n\n{self.reply.text}"
        return self.reply.text

    @property
    def reasoning(self) -> str:
        """The reasoning that has a field of its own."""
        return "" if self.reply.reasoning_style == "think" else self.reply.reasoning

    @property
    def calls(self) -> tuple[Call, ...]:
        """The tool calls, each with an id."""
        return tuple(
            Call(call.name, call.arguments, call.id or f"call_{self.id[-6:]}{place:02d}", call.raw)
            for place, call in enumerate(self.reply.tool_calls)
        )

    @property
    def finish(self) -> str:
        """Why the model stopped, in the words of Chat Completions."""
        return self.reply.finish or ("tool_calls" if self.reply.tool_calls else "stop")

    @property
    def completion_tokens(self) -> int:
        """Tokens of everything the model said."""
        arguments = "".join(call.name + str(wire_arguments(call)) for call in self.reply.tool_calls)
        return max(1, count_tokens(self.reply.text + self.reply.reasoning + arguments))

    @property
    def reasoning_tokens(self) -> int:
        """Tokens of the reasoning alone."""
        return count_tokens(self.reply.reasoning)

    def pieces(self, text: str) -> Iterator[str]:
        """Cut a text as a stream does."""
        size = max(1, self.reply.piece)
        for start in range(0, len(text), size):
            yield text[start : start + size]


def wire_arguments(call: Call) -> Any:
    """The arguments as Chat Completions sends them: JSON text, or whatever a fault put there."""
    return call.text if call.raw is NOTHING else call.raw


def sse(data: Mapping[str, Any], event: str = "") -> bytes:
    """One server-sent event."""
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {json.dumps(data)}\n\n".encode()
