"""Reports periodically what a long run is doing: worded by the summarizer, or else in plain numbers."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from langchain_core.messages import HumanMessage

from core.artifacts import StepSummary
from core.config.settings import EMBEDDED
from core.context import Models
from core.errors import BudgetError, ModelError
from core.events import EventSink
from core.replies import CallSite
from core.text import counted, one_line, visible_line
from graph.drive.in_flight import ActivityTracker
from graph.store.inbox import SqliteInbox
from graph.supervisor.judge import tool_calls_text
from graph.supervisor.snapshot import Snapshot
from nodes.text.rendering import render

LINE = 100
DOING = {
    "route": "routing the task",
    "answer": "looking for the answer",
    "scope": "running the initial checks and defining the acceptance criteria",
    "clarify": "asking clarifying questions",
    "plan": "planning the steps",
    "implement": "working on the step",
    "summarize": "summarizing the step",
    "qa": "running the checks and judging the change",
    "assess": "deciding what comes next",
    "report": "writing the report",
}
"""What a node does, for a line that knows only its name."""
ANSWER_S = 10.0
"""What a model is given to word a line."""


@dataclass(frozen=True, slots=True)
class StatusContext:
    """Who asks, on behalf of which thread."""

    thread: str
    models: Models
    events: EventSink

    @property
    def check(self) -> str:
        """The check that is running, as far as it is known here; empty when none is."""
        return self.events.check if isinstance(self.events, ActivityTracker) else ""


TakeSnapshot = Callable[[], Awaitable[Snapshot | None]]
"""Returns the thread's current state; `None` before it has started."""


async def keep_status(speaker: StatusContext, look: TakeSnapshot, *, every_s: float) -> None:
    """Emit a `status` event at least every `every_s` seconds until cancelled.

    A model is asked only when something happened since the last line, and it must answer in time; otherwise
    plain numbers are shown.
    """
    told: Snapshot | None = None
    within_s = min(ANSWER_S, every_s / 2)
    while True:
        await asyncio.sleep(every_s - within_s)
        snapshot = await look()
        if snapshot is not None and snapshot.finished:
            continue
        known = snapshot == told or speaker.check
        line = _now(speaker, snapshot) if known else await answer_status(speaker, look, within_s=within_s)
        told = snapshot
        speaker.events.emit("status", text=line)


async def keep_answering(
    speaker: StatusContext, look: TakeSnapshot, inbox: SqliteInbox, *, every_s: float = 0.5
) -> None:
    """Answer questions about what the run is doing (inbox rows of the kind `ask`), immediately and until cancelled."""
    seen = await inbox.last_id()
    while True:
        await asyncio.sleep(every_s)
        items = await inbox.after(seen)
        seen = items[-1].id if items else seen
        if any(item.kind == "ask" for item in items):
            speaker.events.emit("status", text=await answer_status(speaker, look))


async def answer_status(speaker: StatusContext, look: TakeSnapshot, *, within_s: float = ANSWER_S) -> str:
    """A line on what the run is doing, in plain numbers when no model words it in time or its text is outdated."""
    seen = await look()
    line = ""
    if seen is not None and not speaker.check:
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                line = await status_line(speaker, seen)
    now = await look()
    return line if line and _place(now) == _place(seen) and not speaker.check else _now(speaker, now)


def _now(speaker: StatusContext, snapshot: Snapshot | None) -> str:
    """The numbers, and the running check, if any, because it is not in a checkpoint yet."""
    if not speaker.check:
        return plain_status(snapshot)
    node = snapshot.node if snapshot is not None and snapshot.node else "starting"
    return visible_line(f"{node} · running the check `{speaker.check}`")[:LINE]


def _place(snapshot: Snapshot | None) -> tuple[object, ...]:
    return (snapshot.node, snapshot.step, snapshot.attempt) if snapshot else ()


async def status_line(speaker: StatusContext, snapshot: Snapshot) -> str:
    """What the run is doing, worded by the summarizer; plain numbers when no model may or can do it."""
    if not may_ask(speaker.models):
        return plain_status(snapshot)
    prompt = render(
        "supervisor/status", facts=plain_status(snapshot), task=snapshot.task, acts=tool_calls_text(snapshot)
    )
    site = CallSite(thread=speaker.thread, node="supervisor", purpose="status")
    try:
        summary, _ = await speaker.models.ask("summarizer", [HumanMessage(prompt)], StepSummary, site=site)
    except (ModelError, BudgetError):
        return plain_status(snapshot)
    return " ".join(summary.status_line.split())[:LINE] or plain_status(snapshot)


def may_ask(models: Models) -> bool:
    """Whether the summarizer is a separate model: the primary is busy with the work and is left alone."""
    spec = models.served("summarizer").spec
    return spec not in ("", EMBEDDED, models.served("primary").spec, models.served("coder").spec)


def plain_status(snapshot: Snapshot | None) -> str:
    """Node, step, last tool and checks in one line."""
    if snapshot is None:
        return "starting"
    parts = [snapshot.node or "finished"]
    if snapshot.node in DOING and (snapshot.step is None or snapshot.node != "implement"):
        parts = [f"{snapshot.node}: {DOING[snapshot.node]}"]
    if snapshot.steps and snapshot.step is not None:
        place = 1 + next(place for place, step in enumerate(snapshot.steps) if step.id == snapshot.step.id)
        parts.append(f"step {place}/{len(snapshot.steps)} {snapshot.step.title}")
    if snapshot.acts:
        parts.append(f"{counted(len(snapshot.acts), 'tool call')}, last {snapshot.acts[-1].tool}")
    if snapshot.last is not None:
        parts.append("checks green" if snapshot.last.failing == 0 else f"{snapshot.last.failing} failing")
    return one_line(" · ".join(parts), LINE)
