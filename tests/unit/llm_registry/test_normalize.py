"""One kind of answer out of what servers send."""

from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk

from core.replies import ToolCall
from llm_registry.calls.normalize import InvalidToolCall, parse_answer, parse_tool_call, split_reasoning

TOOLS = {"edit": {"type": "object", "required": ["path"]}}


def chunk(arguments: Any, name: str = "edit") -> AIMessageChunk:
    return AIMessageChunk("", tool_call_chunks=[{"name": name, "args": arguments, "id": "c1", "index": 0}])


@pytest.mark.parametrize(
    ("text", "words", "thoughts"),
    [
        ("plain", "plain", ""),
        ("<think>a\nb</think>\n\nwords", "words", "a\nb"),
        ("<thinking>a</thinking>words", "words", "a"),
        ("swallowed opening</think>words", "words", "swallowed opening"),
        ("<think>never closed", "", "never closed"),
        ("about <think> tags </think> in text", "about <think> tags </think> in text", ""),
    ],
)
def test_thoughts_are_parted_from_words(text: str, words: str, thoughts: str) -> None:
    assert split_reasoning(text) == (words, thoughts)


@pytest.mark.parametrize(
    ("arguments", "args"),
    [('{"path": "a"}', {"path": "a"}), ('"{\\"path\\": \\"a\\"}"', {"path": "a"})],
)
def test_arguments_are_read(arguments: str, args: dict[str, Any]) -> None:
    answer = parse_answer(chunk(arguments), TOOLS)
    assert answer.calls == (ToolCall(id="c1", name="edit", args=args),)
    assert answer.broken == ()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ('{"path": "a", "text": "def f', "not valid JSON"),
        ("42", "must be a JSON object, not int"),
        ("[]", "must be a JSON object, not list"),
        ("{}", "lack path"),
        ("", "lack path"),
    ],
)
def test_calls_that_cannot_be_made_are_never_repaired_in_silence(arguments: str, words: str) -> None:
    answer = parse_answer(chunk(arguments), TOOLS)
    assert answer.calls == ()
    assert words in answer.broken[0].error


def test_an_invented_tool_is_answered_with_those_there_are() -> None:
    read = parse_tool_call("frobnicate", {"a": 1}, "c1", {**TOOLS, "read": {}})
    assert isinstance(read, InvalidToolCall)
    assert read.error == "there is no tool named 'frobnicate'; available tools: edit, read"


def test_calls_written_as_text_are_found_where_tools_were_offered() -> None:
    text = 'On it.\n<tool_call>\n{"name": "edit", "arguments": {"path": "a", "new": {"x": 1}}}\n</tool_call>'
    answer = parse_answer(AIMessage(text), TOOLS)
    assert [call.args for call in answer.calls] == [{"path": "a", "new": {"x": 1}}]
    assert answer.text == "On it."
    assert parse_answer(AIMessage(text)).text == text


def test_reasoning_is_found_wherever_it_stands() -> None:
    in_blocks = AIMessage(
        [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "a"}]}, {"type": "text", "text": "w"}]
    )
    beside = AIMessage("w", additional_kwargs={"reasoning_content": "a"})
    inside = AIMessage("<think>a</think>w")
    for message in (in_blocks, beside, inside):
        answer = parse_answer(message)
        assert (answer.text, answer.reasoning) == ("w", "a")


@pytest.mark.parametrize(
    ("about", "reason"),
    [
        ({"finish_reason": "stop"}, "stop"),
        ({"finish_reason": "length"}, "length"),
        ({"done_reason": "stop", "done": True}, "stop"),
        ({"done": True}, "stop"),
        ({"status": "completed"}, "stop"),
        ({"status": "incomplete"}, "length"),
        ({"status": "in_progress"}, ""),
        ({}, ""),
    ],
)
def test_the_end_has_one_name_in_all_protocols(about: dict[str, Any], reason: str) -> None:
    assert parse_answer(AIMessage("w", response_metadata=about)).finish_reason == reason


def test_unknown_usage_is_unknown_and_not_zero() -> None:
    nothing = AIMessage("w", usage_metadata={"input_tokens": 0, "output_tokens": 0, "total_tokens": 0})
    for message in (AIMessage("w"), nothing):
        usage = parse_answer(message).usage
        assert (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens) == (None, None, None)
