"""One run of the graph: from its input or last checkpoint to the end, a stop, or an unanswered question."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from textwrap import shorten
from typing import Any, Literal

from langchain_core.runnables import RunnableConfig
from langgraph.types import Command, Interrupt, StateSnapshot
from pydantic import BaseModel, ConfigDict, Field

from core.context import Context
from core.errors import BudgetError, ModelError
from core.state import UNCHECKED
from core.storage.thread_ids import short_id
from core.threads import ThreadStatus
from graph.drive.continuation import continued
from graph.drive.interruptible_stream import Graph, PausedError, interruptible_stream
from graph.drive.stream_events import ProgressEvents
from graph.store.inbox import SqliteInbox, requests_in
from nodes.guidance.delivery import SPOKEN


class UserQuestion(BaseModel):
    """Something the run wants to know from a person before it continues."""

    model_config = ConfigDict(frozen=True)

    id: str
    kind: Literal["approval", "question"]
    text: str
    payload: dict[str, Any] = Field(default_factory=dict)


AskUser = Callable[[UserQuestion], Awaitable[str | None]]
"""Gets the answer to a question; `None` leaves it open."""
SUPERSEDES = "the earlier request is not finished and is superseded; its changes so far are kept"
NOBODY = "No user is available to answer. Decide yourself, and state your decision at the end."
"""The answer to questions in an unattended run."""


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a thread run ended."""

    status: ThreadStatus
    message: str = ""
    hint: str = ""
    exit_code: int | None = None
    """Where the status alone does not say it."""

    @property
    def code(self) -> int:
        """The exit code of the run."""
        return self.status.exit_code if self.exit_code is None else self.exit_code


class ThreadRun:
    """One run of a thread, with the questions it asks."""

    def __init__(self, graph: Graph, context: Context, inbox: SqliteInbox, ask: AskUser | None, *, since: int) -> None:
        self.graph, self.context, self._inbox, self._ask = graph, context, inbox, ask
        self._since = since
        """Inbox rows up to this id came before the run and do not stop it."""
        self.config: RunnableConfig = {"configurable": {"thread_id": context.thread_id}}
        self._progress = ProgressEvents(context.events, context.tools.effects_of)

    async def state(self) -> StateSnapshot:
        """The thread as in its last checkpoint."""
        return await self.graph.aget_state(self.config)

    async def run(self, task: str) -> RunEnd:
        """Run to the end, or until something stops it.

        Args:
            task: What the thread was started for.
        """
        inp = await self._entry(task)
        try:
            while True:
                await self._stream(inp)
                asked = await self._questions()
                if not asked:
                    return await self._natural_end()
                answers = await self._answers(asked)
                if len(answers) < len(asked):
                    return _waiting(asked, self.context)
                inp = Command(resume=answers)
        except PausedError as paused:
            return RunEnd(ThreadStatus.PAUSED, paused.message, paused.hint, paused.exit_code)
        except (BudgetError, ModelError) as error:
            return run_end_for(error)

    async def _entry(self, task: str) -> Any:
        """What the graph is given: the task, a new request waiting in the inbox, or nothing, to continue as before."""
        before = await self.state()
        rows = await self._inbox.after(int(before.values.get("request", 0)))
        known, waiting = bool(before.created_at), requests_in(rows)
        now = str(before.values.get("task", task))
        self.announce(waiting[-1].text if waiting else now, resumed=known or bool(waiting))
        if not waiting:
            return None if known else {"task": task}
        finished = known and not before.next
        if not finished:
            self.context.events.emit("warning", message=f"{SUPERSEDES}: {shorten(now, 80, placeholder=' …')}")
        return continued(before.values, waiting, task=task, finished=finished)

    async def current_end(self) -> RunEnd:
        """The status of a thread that another process has run up to here."""
        state = await self.state()
        if state.interrupts:
            return _waiting(state.interrupts, self.context)
        if state.next:
            return RunEnd(ThreadStatus.PAUSED, f"stopped before {', '.join(state.next)}")
        return await self._natural_end()

    def announce(self, task: str, *, resumed: bool) -> None:
        """Announce that the thread is running now."""
        workspace = self.context.workspace
        self.context.events.emit(
            "run_started",
            task=task,
            repo=str(workspace.repo),
            branch=workspace.branch,
            resumed=resumed,
            sandbox=self.context.commands.policy,
        )

    async def _stream(self, inp: Any) -> None:
        # A question that was asked before a crash is asked again: going on with None would only stop at it once more.
        if inp is None and await self._questions():
            return
        parts = interruptible_stream(
            self.graph, inp, self.config, context=self.context, inbox=self._inbox, since=self._since
        )  # fmt: skip
        # Closed here and now: a stream left to the garbage collector would drive the thread without its lease.
        async with aclosing(parts):
            async for part in parts:
                self._progress.note(part)

    async def _questions(self) -> tuple[Interrupt, ...]:
        return (await self.state()).interrupts

    async def _answers(self, asked: tuple[Interrupt, ...]) -> dict[str, Any]:
        """Answers by interrupt, without those that need a user when none is present."""
        answers: dict[str, Any] = {}
        for item in asked:
            question = _question(item)
            if question.kind == "approval" and self.context.options.approve_all:
                answers[item.id] = "yes"
                continue
            self.context.events.emit("question", id=question.id, text=question.text)
            answer = await self._ask(question) if self._ask is not None else None
            if answer is not None:
                answers[item.id] = self.context.redactor.clean(answer)
            elif self.context.options.approve_all:
                answers[item.id] = NOBODY
        return answers

    async def _natural_end(self) -> RunEnd:
        values = (await self.state()).values
        report = values.get("report")
        status = ThreadStatus(report.status if report else "not_done")
        qa = values.get("qa")
        unchecked = "" if qa is None or qa.checks else UNCHECKED
        known = {ThreadStatus.DONE: unchecked, ThreadStatus.ANSWERED: values.get("answer", "")}
        said = known.get(status, values.get("stop_reason", ""))
        parts = [str(said)] if said else []
        waiting = await self._inbox.after(values.get("guidance_cursor", 0))
        late = [item for item in waiting if item.kind in SPOKEN]
        for item in late:
            self.context.events.emit(
                "warning", message=f"guidance {item.id} came too late to be delivered: {item.text}"
            )
        if late:
            parts.append(f"{len(late)} message{'s came' if len(late) > 1 else ' came'} too late to be delivered")
        return RunEnd(status, "; ".join(parts))


def run_end_for(error: BudgetError | ModelError) -> RunEnd:
    """How a thread ends that cannot continue as things are."""
    status = ThreadStatus.BUDGET if isinstance(error, BudgetError) else ThreadStatus.NEEDS_MODEL
    return RunEnd(status, error.message, error.hint)


def _question(item: Interrupt) -> UserQuestion:
    value = item.value if isinstance(item.value, dict) else {"text": str(item.value)}
    kind: Literal["approval", "question"] = "approval" if value.get("kind") == "approval" else "question"
    return UserQuestion(id=item.id, kind=kind, text=str(value.get("text", "")), payload=value)


def _waiting(asked: tuple[Interrupt, ...], context: Context) -> RunEnd:
    text = "; ".join(_question(item).text for item in asked)
    hint = f"answer it with `rolecall resume {short_id(context.thread_id)}` in a terminal, or allow it with `--yes`"
    return RunEnd(ThreadStatus.WAITING, f"waiting for an answer: {text}", hint)
