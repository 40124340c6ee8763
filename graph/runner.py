"""One run of a thread, from its lease to its exit code. What happens in between is the graph's."""

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from core.artifacts import Report, RoleUsage
from core.config.settings import Settings
from core.context import RunOptions
from core.errors import Exit, ModelError, ThreadError
from core.redaction import Redactor
from core.state import Outcome
from core.storage.database import Database
from core.storage.layout import RunFiles
from graph.acquire import AcquiredThread, acquire_thread
from graph.build import build_graph
from graph.context_factory import ThreadSpec, secrets_of
from graph.drive.interruptible_stream import Graph
from graph.drive.thread_run import AskUser, RunEnd, ThreadRun
from graph.steering_record import steering_markdown
from graph.store.checkpoints import CheckpointWriter, open_checkpoints
from graph.store.event_log import Listen
from graph.store.inbox import SqliteInbox
from graph.store.receipts import read_receipts
from graph.store.thread_store import ThreadStore
from graph.supervisor.companion import supervise_alongside
from graph.supervisor.intervention_log import InterventionLog
from nodes.report import interim_state, plain_narrative, write_markdown, write_report
from tools.git.state_folder import verified_layout

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


class ResumeRequest(BaseModel):
    """A thread that is to go on."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    repo: Path
    """Top level of the user's checkout."""
    thread: str
    """The whole id."""
    settings: Settings
    """As they are now; limits may be higher than when the thread began."""
    options: RunOptions = RunOptions()
    remembered: dict[str, Any] = Field(default_factory=dict)
    """What was asked for anew and holds for later runs too; kept once the thread is ours."""


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

    def told(self) -> dict[str, Any]:
        """The fields of the `result` event, the same in the record and on stdout."""
        named = {"report": self.report_path, "diff": self.diff_path}
        return {**self.model_dump(mode="json", exclude={"thread_id", "report_path", "diff_path"}), **named}

    @classmethod
    def retold(cls, event: Mapping[str, Any]) -> Self:
        """The outcome out of a `result` event."""
        named = {"thread_id": event["thread"], "report_path": event.get("report"), "diff_path": event.get("diff")}
        return cls.model_validate({**event, **named})


async def run(request: RunRequest, *, listen: Listen, ask: AskUser | None = None) -> RunOutcome:
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
    redactor = Redactor(await secrets_of(spec))
    task, hidden = redactor.clean(request.task), redactor.found_in(request.task)
    return await _drive(replace(spec, task=task), {"task": task}, listen=listen, ask=ask, kept=kept, hidden=hidden)


async def resume(request: ResumeRequest, *, listen: Listen, ask: AskUser | None = None) -> RunOutcome:
    """Go on with a thread where its last checkpoint stands.

    Args:
        request: Which thread, and what holds from now on.
        listen: Told of every event.
        ask: Answers questions.

    Raises:
        ThreadError: The thread is unknown or finished.
        LockedError: Another process drives the thread; nothing of it was changed.
    """
    row = await ThreadStore(Database((await verified_layout(request.repo)).database)).find(request.thread)
    if row.finished:
        raise ThreadError(
            f"thread {row.short} is finished ({row.status}); there is nothing to resume",
            hint=f"see `rolecall log {row.short}`; to go on from what it did, `rolecall apply {row.short}` and start a "
            "new run that says what is still wrong",
        )
    kept = {**row.options, **request.remembered}
    checks, models = tuple(kept.get("checks", ())), dict(kept.get("models", {}))
    spec = ThreadSpec(row.thread_id, request.repo, request.settings, request.options, checks, models)
    return await _drive(spec, {"task": row.task}, listen=listen, ask=ask, kept=kept)


async def _drive(
    spec: ThreadSpec, start: dict[str, Any], *, listen: Listen, ask: AskUser | None, kept: dict[str, Any],
    hidden: frozenset[str] = frozenset(),
) -> RunOutcome:  # fmt: skip
    begun = False
    try:
        async with acquire_thread(spec, str(start["task"]), kept=kept, listen=listen) as thread:
            begun = True
            return await _driven(thread, spec, start, ask, kept, hidden)
    except ModelError as error:
        if begun:
            raise
        return RunOutcome(
            thread_id=spec.thread_id, status="needs_model", exit_code=int(error.exit_code), branch="",
            message=error.message, hint=error.hint,
        )  # fmt: skip


async def _driven(
    thread: AcquiredThread, spec: ThreadSpec, start: dict[str, Any], ask: AskUser | None, kept: dict[str, Any],
    hidden: frozenset[str],
) -> RunOutcome:  # fmt: skip
    if hidden:
        said = f"the task holds what looks like a secret; {', '.join(sorted(hidden))} is kept and sent in its place"
        thread.context.events.emit("warning", message=said)
    outcome = await _ridden(thread, spec, start, ask, supervise=bool(kept.get("supervise", True)))
    await note(thread, outcome)
    return outcome


async def note(thread: AcquiredThread, outcome: RunOutcome) -> None:
    """Write down how a run ended: in the list of threads, and as the last event of its record."""
    await thread.store.set_status(
        outcome.thread_id, outcome.status, exit_code=outcome.exit_code, generation=thread.generation
    )
    thread.context.events.emit("result", **outcome.told())


async def _ridden(
    thread: AcquiredThread, spec: ThreadSpec, start: dict[str, Any], ask: AskUser | None, *, supervise: bool
) -> RunOutcome:
    context, database = thread.context, thread.database
    driver = CheckpointWriter(spec.thread_id, thread.generation)
    async with open_graph(spec.settings, database, driver=driver) as graph:
        inbox = SqliteInbox(database, spec.thread_id, context.redactor)
        watched = supervise and spec.settings.supervisor.enabled
        beside = supervise_alongside(graph, database, context) if watched else nullcontext()
        async with beside:
            thread_run = ThreadRun(graph, context, inbox, ask, since=thread.since)
            ending = await thread_run.run(start)
        return await close(thread_run, ending, database)


@asynccontextmanager
async def open_graph(
    settings: Settings, database: Database, *, driver: CheckpointWriter | None = None
) -> AsyncIterator[Graph]:
    """The compiled graph on the checkpoints of a repository, for whoever drives a thread or only reads."""
    async with open_checkpoints(database, driver=driver) as saver:
        yield build_graph(settings.budget).compile(checkpointer=saver)


async def _steering(thread_run: ThreadRun, database: Database) -> str:
    thread_id = thread_run.context.thread_id
    items = await SqliteInbox(database, thread_id).after(0)
    found = await read_receipts(thread_run.graph, thread_id, items) if items else ()
    return steering_markdown(found, await InterventionLog(database, thread_id).all())


async def close(thread_run: ThreadRun, ending: RunEnd, database: Database) -> RunOutcome:
    """Write the report where the graph could not, and say how it ended."""
    context = thread_run.context
    files = RunFiles(context.workspace.run_dir)
    if ending.status in ("budget", "needs_model"):
        status: Outcome = "budget" if ending.status == "budget" else "needs_model"
        known = interim_state(
            (await thread_run.state()).values, outcome=status, reason=f"{ending.message} {ending.hint}".strip()
        )
        report: Report | None = await write_report(known, plain_narrative(known), context)
    else:
        report = (await thread_run.state()).values.get("report")
    written = report is not None and ending.status not in ("paused", "waiting")
    if report is not None and written:
        # What became of the last words is known only now.
        steering = await _steering(thread_run, database)
        await write_markdown(context, f"{report.markdown}\n{steering}\n" if steering else report.markdown)
    return RunOutcome(
        thread_id=context.thread_id,
        status=ending.status,
        exit_code=EXIT_OF[ending.status] if ending.exit_code is None else ending.exit_code,
        branch=context.workspace.branch,
        report_path=str(files.report) if written and files.report.exists() else "",
        diff_path=str(files.diff) if written and files.diff.exists() else "",
        usage=dict(context.models.usage()),
        message=context.redactor.clean(ending.message),
        hint=context.redactor.clean(ending.hint),
    )
