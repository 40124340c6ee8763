import asyncio
import time
from collections.abc import Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.tools import tool

from core.storage.database import Database
from graph.drive.in_flight import ActivityTracker
from graph.drive.interruptible_stream import PausedError, interruptible_stream
from graph.drive.stream_events import ProgressEvents
from graph.store.inbox import SqliteInbox
from tests.steering.world import Heard, Speaker, build, call, context_of, opened, results, works

CONFIG: Any = {"configurable": {"thread_id": "t"}}


class Rig:
    """A steered run on a real saver, with its inbox in another connection."""

    def __init__(self, graph: Any, database: Path, speaker: Speaker) -> None:
        self.graph, self.database, self.speaker = graph, database, speaker
        self.inbox = SqliteInbox(Database(database), "t")
        self.parts: list[Any] = []
        self.heard = Heard()

    async def run(self, inp: Any, since: int | None = None) -> None:
        activity = ActivityTracker(self.heard)
        self.speaker.events = activity
        async with Database(self.database) as database:
            inbox = SqliteInbox(database, "t")
            context = context_of("t", inbox, activity)
            stream = interruptible_stream(
                self.graph, inp, CONFIG, context=context, inbox=inbox, since=since
            )  # fmt: skip
            progress = ProgressEvents(activity)
            async for part in stream:
                self.parts.append(part)
                progress.note(part)

    def start(self, inp: Any = None) -> asyncio.Task[None]:
        return asyncio.create_task(self.run(inp))

    async def calls(self, count: int) -> None:
        while len(self.speaker.prompts) < count:
            await asyncio.sleep(0.01)

    async def order(self, kind: str, text: str = "", **payload: Any) -> int:
        return await self.inbox.put("t", kind=kind, author="user", text=text, payload=payload)

    async def messages(self) -> list[BaseMessage]:
        return list((await self.graph.aget_state(CONFIG)).values["messages"])


@asynccontextmanager
async def rig(tmp_path: Path, speaker: Speaker, tools: Sequence[Any] | None = None) -> Any:
    builder = build(speaker, tools) if tools else build(speaker)
    async with opened(builder, tmp_path / "db") as graph:
        yield Rig(graph, tmp_path / "db", speaker)


def whole(messages: list[BaseMessage]) -> bool:
    """Every tool call has its result right behind it, and no result comes without a call."""
    called = [c["id"] for m in messages if isinstance(m, AIMessage) for c in m.tool_calls]
    return called == [m.tool_call_id for m in results(messages)] and len(set(called)) == len(called)


async def test_an_unsteered_run_streams_to_its_end(tmp_path: Path) -> None:
    async with rig(tmp_path, Speaker(speak=works(2))) as r:
        await r.start({"task": "work"})
        assert whole(await r.messages())
        assert {"tasks", "updates"} <= {part["type"] for part in r.parts}
        assert any(part["ns"] for part in r.parts)


async def test_a_pause_in_a_model_call_takes_effect_within_a_second(tmp_path: Path) -> None:
    async with rig(tmp_path, Speaker(speak=works(2), latency=20)) as r:
        run = r.start({"task": "work"})
        await r.calls(1)
        await r.order("pause", "lunch")
        asked = time.monotonic()
        with pytest.raises(PausedError, match="paused by user: lunch") as caught:
            await run
        assert time.monotonic() - asked < 1.0
        assert "resume t" in caught.value.hint

        r.speaker.latency = 0
        await r.start(None)
        assert whole(await r.messages())
        assert len(results(await r.messages())) == 2


async def test_a_pause_that_came_while_the_run_was_being_set_up_is_obeyed(tmp_path: Path) -> None:
    async with rig(tmp_path, Speaker(speak=works(2), latency=5)) as r:
        before = await r.order("pause", "an earlier run")
        await r.order("pause", "too early")
        with pytest.raises(PausedError, match="too early"):
            await r.run({"task": "work"}, since=before)


async def test_a_pause_while_a_tool_works_waits_for_the_end_of_the_step(tmp_path: Path) -> None:
    def speak(messages: list[BaseMessage]) -> AIMessage:
        done = len(results(messages))
        return call("step", done, number=done, seconds=0.8) if done < 3 else AIMessage("finished")

    async with rig(tmp_path, Speaker(speak=speak)) as r:
        run = r.start({"task": "work"})
        await r.calls(1)
        await asyncio.sleep(0.2)
        await r.order("pause")
        with pytest.raises(PausedError):
            await run
        assert len(r.speaker.prompts) == 1
        finished = [p for p in r.parts if p["type"] == "updates" and "tools" in (p["data"] or {})]
        assert len(finished) == 1  # the tool ran to its end before the run stopped

        await r.start(None)
        assert len(r.speaker.prompts) == 4  # and was not run again
        assert whole(await r.messages())


async def test_a_hung_tool_has_until_the_deadline(tmp_path: Path) -> None:
    hangs = True

    @tool
    async def step(number: int) -> str:
        """Work, or hang."""
        await asyncio.sleep(60 if hangs else 0)
        return f"{number} done"

    async with rig(tmp_path, Speaker(speak=works(1)), [step]) as r:
        run = r.start({"task": "work"})
        await r.calls(1)
        await asyncio.sleep(0.2)
        asked = time.monotonic()
        await r.order("pause", deadline_s=1.0)
        with pytest.raises(PausedError):
            await run
        assert 0.9 < time.monotonic() - asked < 3
        hangs = False
        await r.start(None)
        assert whole(await r.messages())


async def test_an_urgent_word_breaks_into_the_call_and_the_run_goes_on(tmp_path: Path) -> None:
    async with rig(tmp_path, Speaker(speak=works(2), latency=20)) as r:
        run = r.start({"task": "work"})
        await r.calls(1)
        r.speaker.latency = 0
        asked = time.monotonic()
        ident = await r.order("guidance", "stop that", urgent=True)
        await run
        assert time.monotonic() - asked < 5

        messages = await r.messages()
        assert [m.id for m in r.speaker.prompts[1]][-1] == f"guidance-{ident}"
        assert [m.id for m in messages].count(f"guidance-{ident}") == 1
        assert whole(messages)


async def test_a_word_in_a_call_that_is_given_up_is_told_of_once(tmp_path: Path) -> None:
    async with rig(tmp_path, Speaker(speak=works(0), latency=1)) as r:
        first = await r.order("guidance", "only ASCII")
        run = r.start({"task": "work"})
        await r.calls(1)
        urgent = await r.order("guidance", "now", urgent=True)
        await r.calls(2)
        r.speaker.latency = 0
        await run
        both = [f"guidance-{first}", f"guidance-{urgent}"]
        assert [m.id for m in r.speaker.prompts[0]][-1:] == both[:1]
        assert [m.id for m in r.speaker.prompts[1]][-2:] == both
        assert [m.id for m in await r.messages() if str(m.id) in both] == both
    assert [told["id"] for told in r.heard.named("guidance")] == [first, urgent]
    shown = Heard()
    progress = ProgressEvents(shown)
    for part in r.parts:
        progress.note(part)
    nodes = [told["node"] for told in shown.named("node_started")]
    assert len(nodes) == len(set(nodes))
    assert [told["node"] for told in shown.named("node_finished")] == nodes


async def test_an_urgent_word_does_not_run_a_tool_twice(tmp_path: Path) -> None:
    runs: list[int] = []

    @tool
    async def step(number: int) -> str:
        """Work."""
        runs.append(number)
        await asyncio.sleep(0.8)
        return f"{number} done"

    async with rig(tmp_path, Speaker(speak=works(1)), [step]) as r:
        run = r.start({"task": "work"})
        while not runs:
            await asyncio.sleep(0.01)
        ident = await r.order("guidance", "hurry", urgent=True)
        await run
        assert runs == [0]
        assert [m.id for m in r.speaker.prompts[-1]][-1] == f"guidance-{ident}"


async def test_a_pause_from_before_the_run_does_not_stop_it(tmp_path: Path) -> None:
    async with rig(tmp_path, Speaker(speak=works(1))) as r:
        await r.order("pause")
        await r.start({"task": "work"})
        assert whole(await r.messages())


def test_what_a_pause_need_not_wait_for() -> None:
    activity = ActivityTracker(Heard())
    activity.emit("model_started", node="supervisor", role="supervisor")
    activity.emit("model_waiting", role="summarizer")
    assert not activity.calling
    activity.emit("model_waiting", role="coder")
    assert activity.calling
    activity.emit("model_started", node="implement", role="coder")
    activity.emit("model_finished", node="supervisor", role="supervisor")
    assert activity.calling
    activity.emit("model_finished", node="implement", role="coder")
    assert not activity.calling


async def test_an_error_in_the_graph_reaches_the_caller(tmp_path: Path) -> None:
    def speak(messages: list[BaseMessage]) -> AIMessage:
        raise ZeroDivisionError("no such luck")

    async with rig(tmp_path, Speaker(speak=speak)) as r:
        with pytest.raises(ZeroDivisionError):
            await r.start({"task": "work"})


async def test_cancelling_the_caller_cancels_the_graph(tmp_path: Path) -> None:
    async with rig(tmp_path, Speaker(speak=works(1), latency=20)) as r:
        run = r.start({"task": "work"})
        await r.calls(1)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        left = {task.get_name() for task in asyncio.all_tasks()}
        assert not left & {"graph", "orders"}


@pytest.mark.parametrize("order", [{"kind": "pause"}, {"kind": "guidance", "text": "quick", "urgent": True}])
async def test_a_tool_at_work_outlives_the_model_call_of_its_sibling(tmp_path: Path, order: dict[str, Any]) -> None:
    worked: list[str] = []

    @tool
    async def ask() -> str:
        """Ask another model."""
        r.speaker.events.emit("model_started", node="implement", role="primary", spec="other")
        await asyncio.sleep(2.5 if len(worked) < 2 else 0)
        r.speaker.events.emit("model_finished", node="implement", role="primary", spec="other", outcome="ok")
        return "told"

    @tool
    async def step() -> str:
        """Work."""
        worked.append("begun")
        await asyncio.sleep(1.5)
        worked.append("ended")
        return "done"

    def speak(messages: list[BaseMessage]) -> AIMessage:
        if results(messages):
            return AIMessage("finished")
        return AIMessage("", tool_calls=[{"name": name, "args": {}, "id": name} for name in ("ask", "step")])

    async with rig(tmp_path, Speaker(speak=speak), [ask, step]) as r:
        run = r.start({"task": "work"})
        while not worked:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)  # the order comes while both are at work
        await r.order(**order)
        if order["kind"] == "pause":
            with pytest.raises(PausedError):
                await run
            await r.start(None)
        else:
            await run
        assert worked == ["begun", "ended"]
        assert whole(await r.messages())
