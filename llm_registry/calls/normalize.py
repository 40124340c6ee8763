"""Converts what chat completions, responses and Ollama send into one format.

Owns reasoning traces, tool calls and finish reasons; judges no content beyond "this call is not JSON". Handling a
bad answer is up to the caller.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from langchain_core.messages import AIMessage, AIMessageChunk

from core.replies import ToolCall, Usage
from core.text import readable

_TEXT_CALL = re.compile(r"<tool_call>\s*(\{.*?\})\s*</tool_call>", re.DOTALL)
_THINK = re.compile(r"^\s*<think(?:ing)?>(.*?)(?:</think(?:ing)?>|\Z)", re.DOTALL)
_MOST_CHARACTERS = 1_000_000
"""Of the arguments of one call; no window is larger."""
_DEEPEST = 100
"""Levels of lists and objects in them: deeper nesting breaks recursive readers."""
_WIDEST = 63
"""Bits of an integer in them: checkpoints cannot store wider ones."""
_THINK_END = re.compile(r"</think(?:ing)?>")


@dataclass(frozen=True, slots=True)
class InvalidToolCall:
    """A tool call that cannot be made."""

    name: str
    arguments: str
    error: str
    """What is wrong with it, worded for the model."""


@dataclass(frozen=True, slots=True)
class ParsedAnswer:
    """A normalised answer."""

    text: str
    reasoning: str
    calls: tuple[ToolCall, ...]
    broken: tuple[InvalidToolCall, ...]
    usage: Usage
    finish_reason: str
    """Empty when the stream ended without one: then the answer is incomplete."""
    response_id: str


def parse_answer(message: AIMessage, tools: Mapping[str, Mapping[str, Any]] | None = None) -> ParsedAnswer:
    """Read an answer.

    Args:
        message: As it came out of the chat model, in any of the protocols.
        tools: The tools that were offered: name to JSON schema of the arguments.
    """
    text, traces = _split_content(message.content)
    text, thought = split_reasoning(text)
    kept = message.additional_kwargs.get("reasoning_content")
    reasoning = "".join([*traces, kept if isinstance(kept, str) else "", thought])
    made = list(_calls(message, tools or {}))
    if tools and not made and (made := list(_calls_in_text(text, tools))):
        text = _TEXT_CALL.sub("", text).strip()
    return ParsedAnswer(
        text=readable(text),
        reasoning=readable(reasoning),
        calls=tuple(one for one in made if isinstance(one, ToolCall)),
        broken=tuple(one for one in made if isinstance(one, InvalidToolCall)),
        usage=_usage(message),
        finish_reason=_finish_reason(message, has_calls=bool(made)),
        response_id=str(message.response_metadata.get("id") or ""),
    )


def split_reasoning(text: str) -> tuple[str, str]:
    """Separate visible text from a leading `<think>` block; templates may have swallowed its opening tag."""
    if found := _THINK.match(text):
        return text[found.end() :].lstrip(), found.group(1).strip()
    if (end := _THINK_END.search(text)) and "<think" not in text[: end.start()]:
        return text[end.end() :].lstrip(), text[: end.start()].strip()
    return text, ""


def _split_content(content: Any) -> tuple[str, list[str]]:
    if isinstance(content, str):
        return content, []
    words: list[str] = []
    traces: list[str] = []
    for block in content:
        if isinstance(block, str):
            words.append(block)
        elif block.get("type") in {"text", "output_text"}:
            words.append(str(block.get("text", "")))
        elif block.get("type") == "refusal":
            words.append(str(block.get("refusal", "")))
        elif block.get("type") == "reasoning":
            traces.extend(_trace(block))
    return "".join(words), traces


def _trace(block: Mapping[str, Any]) -> Iterable[str]:
    if isinstance(block.get("reasoning"), str):
        yield block["reasoning"]
    for part in (*(block.get("summary") or ()), *(block.get("content") or ())):
        if isinstance(part, Mapping) and part.get("text"):
            yield str(part["text"])


def _calls(message: AIMessage, tools: Mapping[str, Mapping[str, Any]]) -> Iterable[ToolCall | InvalidToolCall]:
    taken: set[str] = set()
    for name, arguments, call_id in _raw_calls(message):
        # Some servers number the calls of each answer alike: results could not be told apart.
        yield parse_tool_call(name, arguments, "" if call_id in taken else call_id, tools)
        taken.add(call_id)


def _raw_calls(message: AIMessage) -> Iterable[tuple[str, Any, str]]:
    # The library repairs cut-off JSON on its own, which would run half a tool call: read the raw pieces instead.
    if isinstance(message, AIMessageChunk) and message.tool_call_chunks:
        for chunk in message.tool_call_chunks:
            yield chunk.get("name") or "", chunk.get("args") or "", chunk.get("id") or ""
        return
    for call in message.tool_calls:
        yield call["name"], call["args"], call.get("id") or ""
    for bad in message.invalid_tool_calls:
        yield bad.get("name") or "", bad.get("args") or "", bad.get("id") or ""


def parse_tool_call(
    name: str, arguments: Any, call_id: str, tools: Mapping[str, Mapping[str, Any]]
) -> ToolCall | InvalidToolCall:
    """Read one tool call; a broken one says why."""
    try:
        shown = arguments if isinstance(arguments, str) else json.dumps(arguments, default=str)
    except RecursionError:
        return InvalidToolCall(name, "", f"the arguments of {name} are nested too deeply")
    if tools and name not in tools:
        return InvalidToolCall(
            name, shown, f"there is no tool named {name!r}; available tools: {', '.join(sorted(tools))}"
        )
    schema = tools.get(name, {})
    try:
        args = _read_arguments(arguments, len(shown))
        if missing := [key for key in schema.get("required", ()) if key not in args]:
            raise ValueError(f"lack {', '.join(missing)}")
    except ValueError as error:
        return InvalidToolCall(name, shown[:_MOST_CHARACTERS], f"the arguments of {name} {error}")
    fields = schema.get("properties") or {}
    args = {key: _unquoted(value, fields.get(key)) for key, value in args.items()}
    args = json.loads(readable(json.dumps(args, ensure_ascii=False, default=str)))
    return ToolCall(id=call_id or f"call_{uuid4().hex[:12]}", name=name, args=args)


def _read_arguments(arguments: Any, length: int) -> dict[str, Any]:
    """Parse arguments.

    Raises:
        ValueError: They are not a usable object; the message says why.
    """
    if length > _MOST_CHARACTERS:
        raise ValueError(f"have {length} characters, more than {_MOST_CHARACTERS}: make several smaller calls")
    args: Any = arguments
    # Some servers send the arguments as a string within a string.
    for _ in range(2):
        if isinstance(args, str):
            try:
                args = json.loads(args) if args.strip() else {}
            except ValueError as error:
                raise ValueError(f"are not valid JSON: {error}") from error
            except RecursionError as error:
                raise ValueError("are nested too deeply") from error
    if not isinstance(args, dict):
        raise ValueError(f"must be a JSON object, not {type(args).__name__}")  # noqa: TRY004 - of the model, not ours
    found: list[Any] = [args]
    for _ in range(_DEEPEST + 1):
        if any(isinstance(each, int) and each.bit_length() > _WIDEST for each in found):
            raise ValueError(f"contain an integer of more than {_WIDEST} bits")
        holders = [each.values() if isinstance(each, dict) else each for each in found if isinstance(each, dict | list)]
        found = [inner for holder in holders for inner in holder]
    if found:
        raise ValueError(f"are nested deeper than {_DEEPEST} levels")
    return args


def _unquoted(value: Any, schema: Any) -> Any:
    """A list or object written as a string where the schema does not allow one; anything else unchanged."""
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    if not isinstance(value, str) or kind not in {"array", "object"}:
        return value
    try:
        read = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return read if isinstance(read, list if kind == "array" else dict) else value


def _calls_in_text(text: str, tools: Mapping[str, Mapping[str, Any]]) -> Iterable[ToolCall | InvalidToolCall]:
    """Find calls that a model wrote as text because its server knows no template for them."""
    for found in _TEXT_CALL.finditer(text):
        try:
            body = json.loads(found.group(1))
        except ValueError as error:
            yield InvalidToolCall("", found.group(1), f"the tool call is not valid JSON: {error}")
        except RecursionError:
            yield InvalidToolCall("", found.group(1), "the tool call is nested too deeply")
        else:
            arguments = body.get("arguments", body.get("parameters", {}))
            yield parse_tool_call(str(body.get("name", "")), arguments, "", tools)


def _usage(message: AIMessage) -> Usage:
    said = message.usage_metadata
    if not said or not (said.get("input_tokens") or said.get("output_tokens")):
        return Usage()
    details = said.get("output_token_details") or {}
    return Usage(
        input_tokens=said.get("input_tokens"),
        output_tokens=said.get("output_tokens"),
        reasoning_tokens=details.get("reasoning"),
    )


def _finish_reason(message: AIMessage, *, has_calls: bool) -> str:
    about = message.response_metadata
    said = str(about.get("finish_reason") or about.get("done_reason") or "")
    if not said and about.get("done") is True:
        said = "stop"
    if not said and (status := about.get("status")):
        said = {"completed": "stop", "incomplete": "length"}.get(str(status), "")
    if said == "stop" and has_calls:
        return "tool_calls"
    return said
