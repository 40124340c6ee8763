"""What a model is told when a tool answers, fails or is called wrongly."""

import logging
import math
from types import SimpleNamespace
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.tools import ToolRuntime
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, ToolMessage

from core.errors import ToolError
from core.redaction import Redactor
from core.tool_effects import ToolEffects
from tests.unit.tools.bench import Events
from tools.agent.agent_tool import AnyToolRuntime, agent_tool

TOKEN = "ghp_" + "a1B2" * 9
NAMED = "a-key-of-no-known-form"


@agent_tool(ToolEffects(reads=True))
async def echo(runtime: AnyToolRuntime, text: str, seconds: float = 1.0) -> str:
    """Say a text.

    Args:
        text: What to say.
        seconds: How long.
    """
    if text == "refuse":
        raise ToolError(f"no, not with {TOKEN}", hint=f"take {NAMED}")
    if text == "break":
        return {"a": 1}["b"]  # type: ignore[return-value]
    if text == "closed":
        raise PermissionError(13, "Permission denied")
    return text


async def call(**args: Any) -> ToolMessage:
    runtime: Any = ToolRuntime(
        state={}, context=SimpleNamespace(redactor=Redactor({"MY_KEY": NAMED})), config={},
        stream_writer=lambda _: None, tool_call_id="1", store=None,
    )  # fmt: skip
    result = await echo.ainvoke({"type": "tool_call", "id": "1", "name": "echo", "args": {**args, "runtime": runtime}})
    assert isinstance(result, ToolMessage)
    return result


async def test_no_answer_carries_a_secret() -> None:
    told = (await call(text=f"key={TOKEN} and {NAMED}")).text
    assert TOKEN not in told
    assert NAMED not in told
    assert "[secret:github_token:" in told
    assert "[secret:MY_KEY]" in told


async def test_no_failure_carries_a_secret() -> None:
    result = await call(text="refuse")
    assert result.status == "error"
    assert TOKEN not in result.text
    assert NAMED not in result.text
    assert "no, not with" in result.text


async def test_a_fault_of_ours_is_named_as_one_and_logged(caplog) -> None:
    with caplog.at_level(logging.ERROR):
        result = await call(text="break")
    assert result.status == "error"
    assert "failed on these arguments" in result.text
    assert "Do not repeat this call" in result.text
    (record,) = caplog.records
    assert "echo" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[0] is KeyError


async def test_in_a_run_the_fault_is_in_its_record_and_not_on_the_screen(caplog) -> None:
    events = Events()
    runtime: Any = ToolRuntime(
        state={}, context=SimpleNamespace(redactor=Redactor(), events=events), config={},
        stream_writer=lambda _: None, tool_call_id="1", store=None,
    )  # fmt: skip
    await echo.ainvoke({"type": "tool_call", "id": "1", "name": "echo", "args": {"text": "break", "runtime": runtime}})
    (told,) = events.of("warning")
    assert "the tool echo failed with an internal error, a bug in rolecall (KeyError)" in told["message"]
    assert "Traceback (most recent call last)" in told["traceback"]
    assert not caplog.records


async def test_a_fault_of_the_machine_is_no_fault_of_ours(caplog) -> None:
    result = await call(text="closed")
    assert "Permission denied" in result.text
    assert not caplog.records


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, "NaN"])
async def test_numbers_that_are_none_are_refused(number) -> None:
    result = await call(text="x", seconds=number)
    assert result.status == "error"
    assert "seconds: Input should be a finite number" in result.text


def nested(depth: int) -> list[Any]:
    top: list[Any] = []
    for _ in range(depth):
        top = [top]
    return top


@pytest.mark.parametrize("given", [{"text": nested(900)}, {"text": ["x" * 8_000_000]}, {"txt": "x" * 8_000_000}, {}])
async def test_misfits_are_told_without_quoting_them(given) -> None:
    result = await call(**given)
    assert result.status == "error"
    assert "invalid arguments:\ntext: " in result.text
    assert len(result.text) < 1000


async def test_an_agent_goes_on_after_misfits() -> None:
    class Scripted(GenericFakeChatModel):
        def bind_tools(self, tools: Any, **_: Any) -> Any:
            return self

    calls = [{"name": "echo", "args": {"text": nested(900)}, "id": "1"},
             {"name": "echo", "args": {"text": ["x" * 8_000_000]}, "id": "2"}]  # fmt: skip
    said = iter([AIMessage("", tool_calls=calls), AIMessage("done")])
    agent: Any = create_agent(Scripted(messages=said), [echo])
    final = await agent.ainvoke({"messages": [("user", "go")]})
    answers = [message for message in final["messages"] if isinstance(message, ToolMessage)]
    assert [answer.status for answer in answers] == ["error", "error"]
    assert all(len(answer.text) < 1000 for answer in answers)
    assert final["messages"][-1].text == "done"
