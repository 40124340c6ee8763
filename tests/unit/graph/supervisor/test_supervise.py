"""The supervisor beside real runs on a real database."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.tools import tool

from core.config.settings import RuleThresholds, Settings, SupervisorSettings
from core.context import Models
from core.errors import ModelError
from core.storage.database import Database
from graph.build import build_graph
from graph.store.inbox import SqliteInbox
from graph.store.lease import Lease
from graph.supervisor.intervention_log import InterventionLog
from graph.supervisor.snapshot import Snapshot, take_snapshot
from graph.supervisor.status_line import DOING, answer_status
from graph.supervisor.status_line import StatusContext as StatusSpeaker
from graph.supervisor.supervise import rest_after, supervise
from tests.steering.models import Opinions, nobody
from tests.steering.world import Heard, Speaker, build, call, context_of, opened, results, works

CONFIG: Any = {"configurable": {"thread_id": "t"}}
LATENCY = 0.15


@tool
async def read_file(path: str) -> str:
    """Read a file."""
    return f"the text of {path}"


def stubborn(hints: int) -> Callable[[list[BaseMessage]], AIMessage]:
    """Read the same file for ever, until it was told otherwise `hints` times."""

    def speak(messages: list[BaseMessage]) -> AIMessage:
        told = sum(str(message.id).startswith("guidance-") for message in messages)
        done = len(results(messages))
        return AIMessage("finished") if told >= hints or done > 20 else call("read_file", done, path="a.py")

    return speak


def settings(**changes: Any) -> Settings:
    quick = {"poll_s": 0.02, "max_load": 1.0, "cool_down_s": 0.0, "cool_down_calls": 2, **changes}
    return Settings(supervisor=SupervisorSettings(**quick))


@asynccontextmanager
async def watched(
    tmp_path: Path, speaker: Speaker, tools: Sequence[Any], config: Settings, models: Models | None = None
) -> AsyncIterator[tuple[Any, Any, Heard]]:
    """A graph, its context and the events, with a supervisor beside it until the block ends."""
    path, heard, stop = tmp_path / "db", Heard(), asyncio.Event()
    async with opened(build(speaker, tools), path) as graph, Database(path) as database, Lease(database, "t"):
        beside = asyncio.create_task(
            supervise(
                "t", database=database, graph=graph, models=models or nobody(), settings=config, events=heard, stop=stop
            )
        )
        yield graph, context_of("t", SqliteInbox(database, "t"), heard, config), heard
        stop.set()
        await beside


async def test_a_loop_is_broken_in_the_very_next_call(tmp_path: Path) -> None:
    speaker = Speaker(speak=stubborn(1), latency=LATENCY)
    async with watched(tmp_path, speaker, [read_file], settings()) as (graph, context, heard):
        final = await graph.ainvoke({"task": "work"}, CONFIG, context=context, durability="sync")

    threshold = RuleThresholds().repeated_calls
    told = [any(str(m.id).startswith("guidance-") for m in prompt) for prompt in speaker.prompts]
    assert len(told) > threshold
    assert told == [False] * (len(told) - 1) + [True]  # the run ends with the call that hears it
    [entry] = await InterventionLog(Database(tmp_path / "db"), "t").all()
    assert (entry.rule, entry.action, entry.applied) == ("repeated_call", "nudge", True)
    assert entry.cost == {}
    # The log is written once the row is stored: the first call that began after that has it in its prompt.
    assert [began > entry.created for began in speaker.began] == told
    assert heard.named("intervention")[0]["rule"] == "repeated_call"
    assert [item.author for item in final["guidance"]] == ["supervisor"]


async def test_who_only_observes_suggests_and_leaves_the_run_alone(tmp_path: Path) -> None:
    speaker = Speaker(speak=stubborn(1), latency=0.02)
    async with watched(tmp_path, speaker, [read_file], settings(policy="observe")) as (graph, context, _):
        await graph.ainvoke({"task": "work"}, CONFIG, context=context, durability="sync")

    assert await SqliteInbox(Database(tmp_path / "db"), "t").after(0) == []
    entries = await InterventionLog(Database(tmp_path / "db"), "t").all()
    assert entries
    assert not any(item.applied for item in entries)


async def test_the_ladder_climbs_while_nothing_helps(tmp_path: Path) -> None:
    speaker = Speaker(speak=stubborn(9), latency=0.1)
    config = settings(policy="full", judge=False)
    opinions = Opinions({}, {"reasoning": "bigger"})
    for _ in range(2):  # a wish for a new plan ends the visit
        async with watched(tmp_path, speaker, [read_file], config, opinions.as_models()) as (graph, context, _):
            await graph.ainvoke({"task": "work"}, CONFIG, context=context, durability="sync")

    items = await SqliteInbox(Database(tmp_path / "db"), "t").after(0)
    assert [item.kind for item in items][:4] == ["nudge", "replan", "model", "pause"]
    switch = items[2].payload
    assert (switch["role"], switch["use"], switch["step"]) == ("coder", "reasoning", "implement")
    assert switch["reason"].startswith("read_file was called")
    assert opinions.asked == []


async def test_from_the_second_time_on_a_model_is_asked_and_paid_for_in_the_ledger(tmp_path: Path) -> None:
    speaker = Speaker(speak=stubborn(2), latency=0.1)
    opinions = Opinions({"Suggestion": [{"action": "nudge", "text": "open b.py instead", "reason": "it is there"}]})
    async with watched(tmp_path, speaker, [read_file], settings(), opinions.as_models()) as (graph, context, _):
        await graph.ainvoke({"task": "fix the parser"}, CONFIG, context=context, durability="sync")

    first, second = await SqliteInbox(Database(tmp_path / "db"), "t").after(0)
    assert (first.kind, second.kind) == (
        "nudge",
        "replan",
    )  # the escalation is above the judge, who is heard all the same
    assert second.text.endswith("open b.py instead")
    [(role, purpose, question)] = opinions.asked
    assert (role, purpose) == ("supervisor", "judge")
    assert "fix the parser" in question
    assert 'read_file {"path": "a.py"}' in question
    entries = await InterventionLog(Database(tmp_path / "db"), "t").all()
    assert [entry.cost.get("spec") for entry in entries if entry.cost] == ["small"]


@pytest.mark.parametrize(("policy", "kinds"), [
    ("full", ["nudge", "replan", "model", "pause"]), ("replan", ["nudge", "replan"]), ("nudge", ["nudge", "nudge"]),
])  # fmt: skip
async def test_a_judge_that_always_nudges_keeps_no_thread_at_the_bottom(
    tmp_path: Path, policy: str, kinds: list[str]
) -> None:
    speaker = Speaker(speak=stubborn(9), latency=0.1)
    mild = {"Suggestion": [{"action": "nudge", "text": "try harder"}] * 99}
    opinions = Opinions(mild, {"reasoning": "bigger"})
    for _ in range(2):
        async with watched(tmp_path, speaker, [read_file], settings(policy=policy), opinions.as_models()) as parts:
            graph, context, _ = parts
            await graph.ainvoke({"task": "work"}, CONFIG, context=context, durability="sync")

    items = await SqliteInbox(Database(tmp_path / "db"), "t").after(0)
    assert [item.kind for item in items][: len(kinds)] == kinds
    assert len({item.text for item in items}) == len(items)


async def test_a_wish_for_a_new_plan_ends_the_loop_before_its_next_call(tmp_path: Path) -> None:
    speaker = Speaker(speak=stubborn(9), latency=0.1)
    async with watched(tmp_path, speaker, [read_file], settings(enabled=False)) as (graph, context, _):
        run = asyncio.create_task(graph.ainvoke({"task": "work"}, CONFIG, context=context, durability="sync"))
        while not speaker.prompts:
            await asyncio.sleep(0.01)
        await SqliteInbox(Database(tmp_path / "db"), "t").put("t", kind="replan", author="user", text="make a new plan")
        final = await run
    assert len(speaker.prompts) == 1
    assert [(item.kind, item.text) for item in final["guidance"]] == [("replan", "make a new plan")]


async def test_a_judge_that_fails_leaves_the_rule_in_force(tmp_path: Path) -> None:
    speaker = Speaker(speak=stubborn(2), latency=0.1)
    opinions = Opinions({"Suggestion": [ModelError("gone")]})
    async with watched(tmp_path, speaker, [read_file], settings(), opinions.as_models()) as (graph, context, heard):
        await graph.ainvoke({"task": "work"}, CONFIG, context=context, durability="sync")

    assert [item.kind for item in await SqliteInbox(Database(tmp_path / "db"), "t").after(0)] == ["nudge", "replan"]
    assert any("the supervisor model did not answer" in event["message"] for event in heard.named("warning"))


async def test_what_the_policy_forbids_is_recorded_and_a_nudge_given_instead(tmp_path: Path) -> None:
    speaker = Speaker(speak=stubborn(2), latency=0.1)
    opinions = Opinions({"Suggestion": [{"action": "pause", "text": "ask the user"}]})
    async with watched(tmp_path, speaker, [read_file], settings(), opinions.as_models()) as (graph, context, _):
        await graph.ainvoke({"task": "work"}, CONFIG, context=context, durability="sync")

    assert [item.kind for item in await SqliteInbox(Database(tmp_path / "db"), "t").after(0)] == ["nudge", "nudge"]
    entries = list(await InterventionLog(Database(tmp_path / "db"), "t").all())
    assert [(entry.action, entry.applied) for entry in entries] == [("nudge", True), ("pause", False), ("nudge", True)]


async def test_it_asks_nobody_while_nothing_happens(tmp_path: Path) -> None:
    """Lines of status come all the same: in plain figures."""
    opinions = Opinions({"StepSummary": [{"status_line": "reads a file"}] * 50})
    speaker = Speaker(speak=works(0), latency=1.2)
    config = settings(status_every_s=0.2)
    async with watched(tmp_path, speaker, [read_file], config, opinions.as_models()) as (graph, context, heard):
        run = asyncio.create_task(graph.ainvoke({"task": "work"}, CONFIG, context=context, durability="sync"))
        while len(heard.named("status")) < 4:
            await asyncio.sleep(0.02)
        asked = len(opinions.asked)
        assert asked <= 1  # the start of the thread was the only thing that happened
        lines = [event["text"] for event in heard.named("status")]
        await run

    assert "implement: working on the step" in lines
    assert {role for role, _, _ in opinions.asked} <= {"summarizer"}


async def test_the_summarizer_words_the_status_and_the_primary_is_left_alone(tmp_path: Path) -> None:
    for specs, expected in (({}, "reads a file"), ({"summarizer": "big"}, "implement: working on the step")):
        folder = tmp_path / (specs.get("summarizer") or "own")
        folder.mkdir()
        opinions = Opinions({"StepSummary": [{"status_line": "reads a file"}] * 50}, specs)
        speaker = Speaker(speak=works(0), latency=0.8)
        config = settings(status_every_s=0.2)
        async with watched(folder, speaker, [read_file], config, opinions.as_models()) as (graph, context, heard):
            await graph.ainvoke({"task": "work"}, CONFIG, context=context, durability="sync")
        lines = [event["text"] for event in heard.named("status")]
        assert expected in lines
        assert bool(opinions.asked) == (not specs)


async def test_who_asks_what_it_is_doing_is_told_at_once(tmp_path: Path) -> None:
    opinions = Opinions({"StepSummary": [{"status_line": "thinks about the parser"}] * 50})
    speaker = Speaker(speak=works(0), latency=3)
    async with watched(tmp_path, speaker, [read_file], settings(), opinions.as_models()) as (graph, context, heard):
        run = asyncio.create_task(graph.ainvoke({"task": "work"}, CONFIG, context=context, durability="sync"))
        await asyncio.sleep(0.8)
        asked = time.monotonic()
        await SqliteInbox(Database(tmp_path / "db"), "t").put("t", kind="ask", author="user", text="")
        while not heard.named("status"):
            await asyncio.sleep(0.02)
        assert time.monotonic() - asked < 1.5
        await run

    assert heard.named("status")[0]["text"] == "thinks about the parser"
    assert not any("guidance-" in str(message.id) for prompt in speaker.prompts for message in prompt)


async def test_a_slow_summarizer_does_not_delay_the_line(tmp_path: Path) -> None:
    opinions = Opinions({"StepSummary": [{"status_line": "too late"}] * 50})
    opinions.latency = 5
    speaker = Speaker(speak=works(0), latency=1.5)
    config = settings(status_every_s=0.3)
    began = time.monotonic()
    async with watched(tmp_path, speaker, [read_file], config, opinions.as_models()) as (graph, context, heard):
        await graph.ainvoke({"task": "work"}, CONFIG, context=context, durability="sync")
    assert len(heard.named("status")) >= int((time.monotonic() - began) / 0.3) - 2


async def test_a_line_tells_of_the_moment_it_is_said_however_rarely_the_rules_look(tmp_path: Path) -> None:
    speaker = Speaker(speak=works(0), latency=0.8)
    config = settings(status_every_s=0.3, poll_s=30)
    async with watched(tmp_path, speaker, [read_file], config) as (graph, context, heard):
        await asyncio.sleep(0.1)  # the only look of the rules finds that nothing has begun
        await graph.ainvoke({"task": "work"}, CONFIG, context=context, durability="sync")
    assert "implement: working on the step" in [event["text"] for event in heard.named("status")]


async def test_words_that_the_run_has_overtaken_are_not_said() -> None:
    def at(node: str) -> Snapshot:
        return take_snapshot({"task": "t"}, {}, node=node)

    opinions = Opinions({"StepSummary": [{"status_line": "reads a file"}] * 3})
    opinions.latency = 0.05
    speaker = StatusSpeaker("t", opinions.as_models(), Heard())

    async def line(*sights: Snapshot, within_s: float = 5) -> str:
        seen = iter(sights)

        async def look() -> Snapshot:
            return next(seen)

        return await answer_status(speaker, look, within_s=within_s)

    assert await line(at("implement"), at("implement")) == "reads a file"
    assert await line(at("implement"), at("qa")) == "qa: running the checks and judging the change"
    assert await line(at("route"), at("scope"), within_s=0.01) == f"scope: {DOING['scope']}"


def test_every_node_of_the_graph_has_words_for_what_it_does() -> None:
    assert set(DOING) == set(build_graph().nodes)


async def test_of_two_supervisors_one_steps_back(tmp_path: Path) -> None:
    speaker = Speaker(speak=works(0), latency=0.5)
    async with watched(tmp_path, speaker, [read_file], settings()) as (graph, context, _):
        run = asyncio.create_task(graph.ainvoke({"task": "work"}, CONFIG, context=context, durability="sync"))
        await asyncio.sleep(0.1)
        other = Heard()
        await asyncio.wait_for(
            supervise(
                "t", database=Database(tmp_path / "db"), graph=graph, models=nobody(), settings=settings(),
                events=other, stop=asyncio.Event(),
            ),
            timeout=1,
        )  # fmt: skip
        assert "not supervised from here" in other.named("warning")[0]["message"]
        await run


async def test_it_ends_by_itself_when_the_thread_is_finished(tmp_path: Path) -> None:
    async with opened(build(Speaker(speak=works(0)), [read_file]), tmp_path / "db") as graph:
        context = context_of("t", SqliteInbox(Database(tmp_path / "db"), "t"), Heard())
        await graph.ainvoke({"task": "work"}, CONFIG, context=context, durability="sync")
        run = supervise(
            "t", database=Database(tmp_path / "db"), graph=graph, models=nobody(), settings=settings(), events=Heard(),
            stop=asyncio.Event(),
        )  # fmt: skip
        await asyncio.wait_for(run, timeout=2)


async def test_it_stays_with_a_finished_thread_while_somebody_continues_it(tmp_path: Path) -> None:
    async with opened(build(Speaker(speak=works(0)), [read_file]), tmp_path / "db") as graph:
        context = context_of("t", SqliteInbox(Database(tmp_path / "db"), "t"), Heard())
        await graph.ainvoke({"task": "work"}, CONFIG, context=context, durability="sync")
        async with Database(tmp_path / "db") as database:
            watching = supervise(
                "t", database=database, graph=graph, models=nobody(), settings=settings(), events=Heard(),
                stop=asyncio.Event(),
            )  # fmt: skip
            async with Lease(database, "t"):
                run = asyncio.create_task(watching)
                assert not (await asyncio.wait({run}, timeout=0.5))[0]
            await asyncio.wait_for(run, timeout=5)


async def test_it_never_holds_a_write_lock_while_it_looks(tmp_path: Path) -> None:
    speaker = Speaker(speak=works(0), latency=0.6)
    async with watched(tmp_path, speaker, [read_file], settings()) as (graph, context, _):
        run = asyncio.create_task(graph.ainvoke({"task": "work"}, CONFIG, context=context, durability="sync"))
        await asyncio.sleep(0.2)
        with sqlite3.connect(tmp_path / "db", timeout=0) as other:
            for _ in range(50):
                other.execute("BEGIN IMMEDIATE")
                other.rollback()
        await run


@pytest.mark.parametrize(("spent", "rest"), [(0.0, 2.0), (0.01, 2.0), (0.02, 4.0), (5.0, 30.0)])
def test_an_expensive_look_is_followed_by_a_longer_rest(spent: float, rest: float) -> None:
    assert rest_after(spent, SupervisorSettings()) == rest
