"""What a model call returns, the same object whichever protocol the server speaks (Responses semantics)."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class CallSite(BaseModel):
    """Where in the graph a call is made; every record of the call carries it."""

    model_config = ConfigDict(frozen=True)

    thread: str = ""
    node: str = ""
    purpose: str = ""
    """What the call is for when a node makes several: "verdict", "normalize"…"""


NOWHERE = CallSite()
"""A call from outside the graph."""


class ToolCall(BaseModel):
    """A tool the model wants to be called; `args` are parsed and valid JSON."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    args: dict[str, Any]


class Usage(BaseModel):
    """Tokens of one call as the server reported them; `None` where it said nothing."""

    model_config = ConfigDict(frozen=True)

    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None


class ModelReply(BaseModel):
    """One answer."""

    model_config = ConfigDict(frozen=True)

    text: str = ""
    """The visible text, without reasoning."""
    reasoning: str = ""
    """The reasoning trace, empty when there is none."""
    tool_calls: tuple[ToolCall, ...] = ()
    """The tools to be called, in order."""
    usage: Usage = Usage()
    response_id: str = ""
    """The server's id of the response, sent back to continue its state; empty if it has none."""
    finish_reason: str = ""
    parsed: Any = None
    """The validated artifact when one was asked for."""
    role: str = ""
    spec: str = ""
    """Name of the spec that served: `role:model` or the named model."""
    reason: str = ""
    """Why that spec served: "first choice", or what happened to those before it."""
    seconds: float = 0.0
    first_token_s: float | None = None
    cost_usd: float | None = None
    attempts: int = Field(default=1, ge=1)
