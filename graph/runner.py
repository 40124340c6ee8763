"""One run of a thread, from its lease to its exit code. What happens in between is the graph's."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from langchain_core.runnables import RunnableConfig
from langgraph.types import Command, Interrupt, StateSnapshot
from pydantic import BaseModel, ConfigDict, Field

from core.artifacts import RoleUsage
from core.context import Context, RunOptions
from core.errors import BudgetError, Exit, ModelError, ThreadError
from core.settings import Settings
from core.state import Outcome
from graph.build import build_graph
from graph.checkpoints import database_of, open_checkpoints
from graph.control import Graph, PausedError, steered_stream
from graph.event_log import Listen
from graph.inbox import Mailbox, SqliteInbox
from graph.lease import Lease
from graph.progress import Progress
from graph.session import ThreadSpec, open_context
from graph.supervisor.beside import supervised
from graph.threads import ThreadRow, ThreadStore
from nodes.report import interim, plain_narrative, write_report

EXIT_OF: dict[str, Exit] = {
    "done": Exit.DONE,
    "answered": Exit.DONE,
    "not_done": Exit.NOT_DONE,
    "stuck": Exit.NOT_DONE,
    "waiting": Exit.NOT_DONE,
    "needs_model": Exit.NO_MODEL,
    "budget": Exit.BUDGET,
    "paused": Exit.INTERRUPTED,
}


class Question(BaseModel):
    """Something the run wants to know from a person before it goes on."""

    model_config = ConfigDict(frozen=True)

    id: str
    kind: Literal["approval", "question"]
    text: str
    payload: dict[str, Any] = Field(default_factory=dict)


Ask = Callable[[Question], Awaitable[str]]


class RunRequest(BaseModel):
    """A task for a repository."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    task: str
    repo: Path
    """Top level of the user's checkout."""
    settings: Settings
    options: RunOptions = RunOptions()
    checks: tuple[str, ...] = ()
    models: dict[str, str] = Field(default_factory=dict)
    """Role to spec for this thread, as given with `--model`."""
    thread_id: str = Field(default_factory=lambda: str(uuid.uuid4()))
    supervise: bool = True
    remembered: dict[str, Any] = Field(default_factory=dict)
    """More of what was asked for, kept with the thread so that resuming it means the same."""


class RunOutcome(BaseModel):
    """How a run ended."""

    model_config = ConfigDict(frozen=True)

    thread_id: str
    status: str
    exit_code: int
    branch: str
    report_path: str = ""
    diff_path: str = ""
    usage: dict[str, RoleUsage] = Field(default_factory=dict)
    message: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class _Ending:
    status: str
    message: str = ""
    hint: str = ""


async def run(request: RunRequest, *, listen: Listen, ask: Ask | None = None) -> RunOutcome:
    """Begin a thread and drive it.

    Args:
        request: What is to be done, where and how.
        listen: Told of every event.
        ask: Answers questions; without it a question stops the run, resumable.

    Raises:
        RepositoryError: The repository cannot be worked in; nothing was changed.
        ConfigError: The settings cannot be used.
        LockedError: Another process drives the thread.
    """
    spec = ThreadSpec(
        request.thread_id, request.repo, request.settings, request.options, request.checks, request.models
    )  # fmt: skip
    kept = {**request.remembered, "supervise": request.supervise}
    return await _drive(spec, {"task": request.task}, listen=listen, ask=ask, kept=kept)


async def resume(
    repo: Path, thread: str, *, settings: Settings, options: RunOptions, listen: Listen, ask: Ask | None = None
) -> RunOutcome:
    """Go on with a thread where its last checkpoint stands.

    Args:
        repo: Top level of the user's checkout.
        thread: The whole id.
        settings: As they are now; limits may be higher than when the thread began.
        options: Of this run.
        listen: Told of every event.
        ask: Answers questions.

    Raises:
        ThreadError: The thread is unknown or finished.
        LockedError: Another process drives the thread.
    """
    row = await ThreadStore(database_of(repo)).find(thread)
    if row.finished:
        raise ThreadError(
            f"thread {row.short} is finished ({row.status}); there is nothing to resume",
            hint=f"see `rolecall log {row.short}`, or start a new run",
        )
    checks, models = tuple(row.options.get("checks", ())), dict(row.options.get("models", {}))
    spec = ThreadSpec(row.thread_id, repo, settings, options, checks, models)
    return await _drive(spec, {"task": row.task}, listen=listen, ask=ask, kept=row.options)


async def _drive(
    spec: ThreadSpec, start: dict[str, Any], *, listen: Listen, ask: Ask | None, kept: dict[str, Any]
) -> RunOutcome:
    async with open_context(spec, listen) as context:
        database = database_of(context.workspace.repo)
        store = ThreadStore(database)
        async with Lease(database, spec.thread_id), open_graph(spec.settings, database) as graph:
            await store.create(_row(spec, context, str(start["task"]), kept))
            await store.set_status(spec.thread_id, "running")
            supervise = kept.get("supervise", True) and spec.settings.supervisor.enabled
            beside = supervised(graph, database, context) if supervise else nullcontext()
            async with SqliteInbox(database, spec.thread_id) as inbox, beside:
                ride = _Ride(graph, context, inbox, ask)
                ending = await ride.go(start)
            outcome = await _close(ride, ending)
            await store.set_status(spec.thread_id, outcome.status, exit_code=outcome.exit_code)
        context.events.emit("result", **outcome.model_dump(exclude={"thread_id"}))
    return outcome


def _row(spec: ThreadSpec, context: Context, task: str, kept: dict[str, Any]) -> ThreadRow:
    now = time.time()
    return ThreadRow(
        thread_id=spec.thread_id,
        task=task,
        repo=spec.repo,
        branch=context.workspace.branch,
        status="running",
        options={**kept, "checks": list(spec.checks), "models": dict(spec.models)},
        created=now,
        updated=now,
    )


@asynccontextmanager
async def open_graph(settings: Settings, database: Path) -> AsyncIterator[Graph]:
    """The compiled graph on the checkpoints of a repository."""
    async with open_checkpoints(database) as saver:
        yield build_graph(settings.budget).compile(checkpointer=saver)


class _Ride:
    """The graph on its way, with the questions it asks."""

    def __init__(self, graph: Graph, context: Context, inbox: Mailbox, ask: Ask | None) -> None:
        self.graph, self.context, self._inbox, self._ask = graph, context, inbox, ask
        self.config: RunnableConfig = {"configurable": {"thread_id": context.thread_id}}
        self._progress = Progress(context.events)

    async def state(self) -> StateSnapshot:
        return await self.graph.aget_state(self.config)

    async def go(self, start: dict[str, Any]) -> _Ending:
        """Drive to the end, or to what stops it."""
        before = await self.state()
        self._announce(before, start)
        inp: Any = None if before.created_at else start
        try:
            while True:
                await self._stream(inp)
                asked = await self._questions()
                if not asked:
                    return await self._natural_end()
                if self._ask is None:
                    return _waiting(asked, self.context)
                inp = Command(resume=await self._answers(asked))
        except PausedError as paused:
            return _Ending("paused", paused.message, paused.hint)
        except BudgetError as error:
            return _Ending("budget", error.message, error.hint)
        except ModelError as error:
            return _Ending("needs_model", error.message, error.hint)

    def _announce(self, before: StateSnapshot, start: dict[str, Any]) -> None:
        workspace = self.context.workspace
        self.context.events.emit(
            "run_started",
            task=start["task"],
            repo=str(workspace.repo),
            branch=workspace.branch,
            resumed=bool(before.created_at),
            sandbox=self.context.commands.policy,
        )

    async def _stream(self, inp: Any) -> None:
        # A question that was asked before a crash is asked again: going on with None would only stop at it once more.
        if inp is None and await self._questions():
            return
        stop = asyncio.Event()
        parts = steered_stream(
            self.graph, inp, self.config, context=self.context, inbox=self._inbox, stop=stop
        )  # fmt: skip
        async for part in parts:
            self._progress.note(part)

    async def _questions(self) -> tuple[Interrupt, ...]:
        return (await self.state()).interrupts

    async def _answers(self, asked: tuple[Interrupt, ...]) -> dict[str, Any]:
        assert self._ask is not None
        answers: dict[str, Any] = {}
        for item in asked:
            question = _question(item)
            self.context.events.emit("question", id=question.id, text=question.text)
            answers[item.id] = await self._ask(question)
        return answers

    async def _natural_end(self) -> _Ending:
        values = (await self.state()).values
        report = values.get("report")
        status = report.status if report else "not_done"
        return _Ending(status, values.get("stop_reason", "") if status not in ("done", "answered") else "")


def _question(item: Interrupt) -> Question:
    value = item.value if isinstance(item.value, dict) else {"text": str(item.value)}
    kind: Literal["approval", "question"] = "approval" if value.get("kind") == "approval" else "question"
    return Question(id=item.id, kind=kind, text=str(value.get("text", "")), payload=value)


def _waiting(asked: tuple[Interrupt, ...], context: Context) -> _Ending:
    text = "; ".join(_question(item).text for item in asked)
    hint = f"answer it with `rolecall resume {context.thread_id[:8]}` in a terminal, or allow it with `--yes`"
    return _Ending("waiting", f"waits for an answer: {text}", hint)


async def _close(ride: _Ride, ending: _Ending) -> RunOutcome:
    """Write the report where the graph could not, and say how it ended."""
    context = ride.context
    report_path, diff_path = context.workspace.run_dir / "report.md", context.workspace.run_dir / "diff.patch"
    if ending.status in ("budget", "needs_model"):
        status: Outcome = "budget" if ending.status == "budget" else "needs_model"
        known = interim((await ride.state()).values, outcome=status, reason=f"{ending.message} {ending.hint}".strip())
        await write_report(known, plain_narrative(known), context)
    return RunOutcome(
        thread_id=context.thread_id,
        status=ending.status,
        exit_code=EXIT_OF[ending.status],
        branch=context.workspace.branch,
        report_path=str(report_path) if report_path.exists() else "",
        diff_path=str(diff_path) if diff_path.exists() else "",
        usage=dict(context.models.usage()),
        message=ending.message,
        hint=ending.hint,
    )
