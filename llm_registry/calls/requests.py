"""What a role is asked, which attempt it is, and the result: the values that pass between chain and client."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.utils.function_calling import convert_to_openai_tool

from core.redaction import map_texts
from core.replies import CallSite, ModelReply
from core.text import readable
from llm_registry.calls.normalize import ParsedAnswer
from llm_registry.discovery.context_window import TokenEstimate, count_characters, estimate_tokens


def tool_call_problem(answer: ParsedAnswer) -> str:
    """What is wrong with the tool calls of an answer, "" when nothing is."""
    return "; ".join(broken.error for broken in answer.broken)


def text_answer_problem(answer: ParsedAnswer) -> str:
    """What is wrong with an answer when no tool was offered, "" when nothing is."""
    if answer.calls and not answer.text.strip():
        return f"no tools are available, not even {answer.calls[0].name}; answer in plain text"
    return tool_call_problem(answer)


def without_lone_surrogates(messages: Sequence[BaseMessage]) -> tuple[BaseMessage, ...]:
    """The messages without lone surrogates, which file names and program arguments may contain: no protocol
    can carry those, and a whole chain would fail because of one.
    """
    return tuple(map(_without_lone_surrogates, messages))


def _without_lone_surrogates(message: BaseMessage) -> BaseMessage:
    content = map_texts(message.content, readable)
    # Mostly nothing changes, and a transcript is long: copying all of it takes longer than looking.
    return message if content == message.content else message.model_copy(update={"content": content})


class ToolForms:
    """Tools in the OpenAI form, each converted once: that takes milliseconds, and a loop offers the same ones again."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, dict[str, Any]]] = {}

    def of(self, tools: Sequence[Any]) -> tuple[dict[str, Any], ...]:
        """The tools, converted.

        Args:
            tools: Those offered now; earlier ones that are not among them are forgotten.
        """
        known = {id(tool): self._known.get(id(tool)) or (tool, convert_to_openai_tool(tool)) for tool in tools}
        self._known = known if tools else self._known
        return tuple(known[id(tool)][1] for tool in tools)


@dataclass(frozen=True, kw_only=True)
class RoleRequest:
    """What a role is asked."""

    role: str
    site: CallSite
    messages: tuple[BaseMessage, ...]
    tools: tuple[Any, ...] = ()
    """Mostly in the OpenAI form already."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments for the chat model: `response_format`, `tool_choice`, `stop`."""
    structured: bool = False
    """The answer must be an object, so the way to ask for it matters more than the protocol."""
    judge: Callable[[ParsedAnswer], str] = tool_call_problem
    """Says what is wrong with an answer, "" when nothing is; so that the records tell good answers from bad ones."""
    trace: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Of the run."""
    parent: str = ""
    """The span in which it is asked."""

    # Converting tools takes milliseconds each and is asked for several times a call.
    @cached_property
    def tool_schemas(self) -> dict[str, Mapping[str, Any]]:
        """Name and argument schema of each tool offered."""
        functions = (convert_to_openai_tool(tool)["function"] for tool in self.tools)
        return {function["name"]: function.get("parameters", {}) for function in functions}

    @property
    def size(self) -> TokenEstimate:
        """Of the prompt, tools included."""
        return estimate_tokens(self.characters)

    @cached_property
    def characters(self) -> int:
        """Of the prompt, tools included."""
        return count_characters(self.messages) + sum(len(str(schema)) for schema in self.tool_schemas.values())


@dataclass(frozen=True, slots=True)
class Attempt:
    """Which try of a chain a call is."""

    reason: str = "first choice"
    """Why this spec is asked."""
    number: int = 1
    breaker: str = "closed"


@dataclass(frozen=True, slots=True)
class CallResult:
    """An answered call."""

    answer: ParsedAnswer
    reply: ModelReply
    problem: str = ""
    """What the validator of the answer found wrong."""
