"""The graph on its way: from its input or last checkpoint to the end, a stop, or a question nobody answers."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal

from langchain_core.runnables import RunnableConfig
from langgraph.types import Command, Interrupt, StateSnapshot
from pydantic import BaseModel, ConfigDict, Field

from core.context import Context
from core.errors import BudgetError, ModelError
from core.state import UNCHECKED
from core.storage.thread_ids import short_id
from graph.drive.interruptible_stream import Graph, PausedError, interruptible_stream
from graph.drive.stream_events import ProgressEvents
from graph.store.inbox import InboxStore
from nodes.guidance.delivery import SPOKEN


class UserQuestion(BaseModel):
    """Something the run wants to know from a person before it goes on."""

    model_config = ConfigDict(frozen=True)

    id: str
    kind: Literal["approval", "question"]
    text: str
    payload: dict[str, Any] = Field(default_factory=dict)


AskUser = Callable[[UserQuestion], Awaitable[str]]
NOBODY = "Nobody is there to answer. Decide yourself, and say in the end what you decided."
"""The answer to a question of a run that is to go on unattended."""


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run of a thread ended."""

    status: str
    message: str = ""
    hint: str = ""
    exit_code: int | None = None
    """Where the status alone does not say it."""


class ThreadRun:
    """One drive of a thread, with the questions it asks."""

    def __init__(self, graph: Graph, context: Context, inbox: InboxStore, ask: AskUser | None, *, since: int) -> None:
        self.graph, self.context, self._inbox, self._ask = graph, context, inbox, ask
        self._since = since
        """Orders in the inbox up to this id came before the run and do not stop it."""
        self.config: RunnableConfig = {"configurable": {"thread_id": context.thread_id}}
        self._progress = ProgressEvents(context.events)

    async def state(self) -> StateSnapshot:
        """The thread as its last checkpoint holds it."""
        return await self.graph.aget_state(self.config)

    async def run(self, start: dict[str, Any]) -> RunEnd:
        """Drive to the end, or to what stops it."""
        before = await self.state()
        self.announce(str(start["task"]), resumed=bool(before.created_at))
        inp: Any = None if before.created_at else start
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
            return RunEnd("paused", paused.message, paused.hint, paused.exit_code)
        except (BudgetError, ModelError) as error:
            return run_end_for(error)

    async def current_end(self) -> RunEnd:
        """How a thread stands that somebody else drove up to here."""
        state = await self.state()
        if state.interrupts:
            return _waiting(state.interrupts, self.context)
        if state.next:
            return RunEnd("paused", f"stopped before {', '.join(state.next)}")
        return await self._natural_end()

    def announce(self, task: str, *, resumed: bool) -> None:
        """Tell that the thread is driven now."""
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
        """Answers by interrupt; those nobody is there to give are left out."""
        answers: dict[str, Any] = {}
        for item in asked:
            question = _question(item)
            if question.kind == "approval" and self.context.options.approve_all:
                answers[item.id] = "yes"
                continue
            self.context.events.emit("question", id=question.id, text=question.text)
            if self._ask is not None:
                answers[item.id] = self.context.redactor.clean(await self._ask(question))
            elif self.context.options.approve_all:
                answers[item.id] = NOBODY
        return answers

    async def _natural_end(self) -> RunEnd:
        values = (await self.state()).values
        report = values.get("report")
        status = report.status if report else "not_done"
        qa = values.get("qa")
        unchecked = "" if qa is None or qa.checks else UNCHECKED
        said = {"done": unchecked, "answered": values.get("answer", "")}.get(status, values.get("stop_reason", ""))
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
    """The ending of a thread that cannot go on as things are."""
    return RunEnd("budget" if isinstance(error, BudgetError) else "needs_model", error.message, error.hint)


def _question(item: Interrupt) -> UserQuestion:
    value = item.value if isinstance(item.value, dict) else {"text": str(item.value)}
    kind: Literal["approval", "question"] = "approval" if value.get("kind") == "approval" else "question"
    return UserQuestion(id=item.id, kind=kind, text=str(value.get("text", "")), payload=value)


def _waiting(asked: tuple[Interrupt, ...], context: Context) -> RunEnd:
    text = "; ".join(_question(item).text for item in asked)
    hint = f"answer it with `rolecall resume {short_id(context.thread_id)}` in a terminal, or allow it with `--yes`"
    return RunEnd("waiting", f"waits for an answer: {text}", hint)
