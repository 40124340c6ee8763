"""A small storm; the long one is `make chaos`. And the proof that the audit sees what it is there to see."""

from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from benchmarks.chaos import Storm, Tally, compare, invalid, weather
from core.artifacts import Guidance
from core.context import InboxItem


@pytest.mark.slow
def test_guidance_survives_a_runner_that_is_killed_again_and_again(tmp_path: Path) -> None:
    tally = weather(Storm(kills=4, guidances=60, pace_s=0.04, life_s=0.6), tmp_path, seed=5)
    assert tally.faults == []
    assert tally.kills >= 2
    assert tally.guidances >= 60


def call(ident: str) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": "step", "args": {}, "id": ident}])


@pytest.mark.parametrize(
    ("messages", "fault"),
    [
        ([call("a"), AIMessage("on")], "calls without a result"),
        ([call("a")], "calls without a result"),
        ([call("a"), HumanMessage("x"), ToolMessage("ok", tool_call_id="a")], "calls without a result"),
        ([ToolMessage("ok", tool_call_id="a")], "a result without a call"),
        ([call("a"), ToolMessage("ok", tool_call_id="a")] * 2, "a call made twice"),
    ],
)
def test_the_audit_sees_a_broken_history(messages: list[BaseMessage], fault: str) -> None:
    assert any(found.startswith(fault) for found in invalid(messages))


def rows(*idents: int) -> list[InboxItem]:
    return [InboxItem(id=i, thread_id="t", kind="guidance", author="user", text="x", created=0.0) for i in idents]


def state(*idents: int, told: tuple[int, ...], cursor: int) -> dict[str, Any]:
    seen = tuple(Guidance(id=i, kind="guidance", author="user", text="x", node="implement") for i in idents)
    messages = [HumanMessage("x", id=f"guidance-{i}") for i in told]
    return {"guidance": seen, "guidance_cursor": cursor, "messages": messages}


@pytest.mark.parametrize(
    ("values", "sound"),
    [
        (state(1, 2, 3, told=(1, 2, 3), cursor=3), True),
        (state(1, 2, told=(1, 2), cursor=2), True),  # the third came after the last look
        (state(1, 2, told=(1, 2), cursor=3), False),  # lost
        (state(1, 3, told=(1, 3), cursor=3), False),  # lost in the middle
        (state(2, 1, 3, told=(2, 1, 3), cursor=3), False),  # out of order
        (state(1, 2, 2, 3, told=(1, 2, 3), cursor=3), False),  # twice in the record
        (state(1, 2, 3, told=(1, 2, 2, 3), cursor=3), False),  # twice in the history
        (state(1, 2, 3, told=(1, 3), cursor=3), False),  # recorded, never said
    ],
)
def test_the_audit_sees_what_is_lost_doubled_or_out_of_order(values: dict[str, Any], sound: bool) -> None:
    tally = Tally()
    compare(rows(1, 2, 3), values, tally)
    assert (tally.faults == []) == sound
