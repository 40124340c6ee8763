"""One run of a thread, from its lease to its exit code. What happens in between is up to the graph."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from typing import cast

from core.config.settings import Settings
from core.errors import ModelError, ThreadError
from core.redaction import Redactor
from core.run_result import RunResult
from core.state import Outcome
from core.storage.database import Database
from core.storage.layout import RunFiles
from core.threads import ThreadStatus
from graph.acquire import AcquiredThread, acquire_thread
from graph.build import build_graph
from graph.context_factory import RunSpec, refused, secrets_of
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
from nodes.model_calls.agent_loop import UNLIMITED
from nodes.report import interim_state, plain_narrative, write_markdown, write_report
from tools.git.state_folder import verified_layout
from tools.worktree.workspace import GitWorkspace


async def run(spec: RunSpec, *, listen: Listen, ask: AskUser | None = None) -> RunResult:
    """Start a thread and run it.

    Args:
        spec: What to do, where and how.
        listen: Told of every event, within the event loop: it must not block.
        ask: Answers questions; without it a question stops the run, which can be resumed.

    Raises:
        RepositoryError: The repository cannot be used; nothing was changed.
        ConfigError: The settings cannot be used.
        LockedError: Another process is running the thread.
    """
    task, hidden = await _without_secrets(spec, spec.task)
    return await _drive(replace(spec, task=task), task, listen=listen, ask=ask, hidden=hidden)


async def resume_thread(spec: RunSpec, *, listen: Listen, ask: AskUser | None = None) -> RunResult:
    """Resume a thread from its last checkpoint.

    Args:
        spec: Which thread, and what applies from now on.
        listen: Told of every event, within the event loop: it must not block.
        ask: Answers questions.

    Raises:
        ThreadError: The thread is unknown or finished.
        LockedError: Another process is running the thread; nothing of it was changed.
    """
    row = await ThreadStore(Database((await verified_layout(spec.repo)).database)).find(spec.thread_id)
    if row.finished:
        raise ThreadError(
            f"thread {row.short} is finished ({row.status}); there is nothing to resume",
            hint=f"see `rolecall log {row.short}`; `rolecall continue {row.short} TEXT` asks for more",
        )
    return await _drive(spec, row.task, listen=listen, ask=ask)


async def run_request(spec: RunSpec, text: str, *, listen: Listen, ask: AskUser | None = None) -> RunResult:
    """Continue a thread that is not running with a new request: the same branch and history, a new plan.

    Unfinished earlier requests are superseded. Limits count from here on.

    Args:
        spec: Which thread, and what applies from now on.
        text: The request.
        listen: Told of every event, within the event loop: it must not block.
        ask: Answers questions.

    Raises:
        ThreadError: The thread is unknown.
        RepositoryError: Its work is gone from the repository; nothing was changed.
        LockedError: Another process is running the thread; nothing of it was changed.
    """
    row = await ThreadStore(Database((await verified_layout(spec.repo)).database)).find(spec.thread_id)
    if row.branch:
        await (await GitWorkspace.open(spec.repo, spec.thread_id)).base()
    text, hidden = await _without_secrets(spec, text)
    return await _drive(spec, row.task, request=text, listen=listen, ask=ask, hidden=hidden)


async def _without_secrets(spec: RunSpec, text: str) -> tuple[str, frozenset[str]]:
    redactor = Redactor(await secrets_of(spec))
    return redactor.clean(text), redactor.found_in(text)


async def _drive(
    spec: RunSpec, task: str, *, listen: Listen, ask: AskUser | None, request: str = "",
    hidden: frozenset[str] = frozenset(),
) -> RunResult:  # fmt: skip
    begun = False
    try:
        async with acquire_thread(spec, task, request=request, listen=listen) as thread:
            begun = True
            if hidden:
                what = ", ".join(sorted(hidden))
                said = f"the task contains what looks like a secret; {what} is stored and sent in its place"
                thread.context.events.emit("warning", message=said)
            result = await _driven(thread, spec, ask)
            await note(thread, result)
            return result
    except ModelError as error:
        if begun:
            raise
        return refused(spec.thread_id, error)


async def note(thread: AcquiredThread, result: RunResult) -> None:
    """Record how a run ended: in the list of threads, and as the last recorded event."""
    await thread.store.set_status(
        result.thread_id, result.status, exit_code=result.exit_code, generation=thread.generation
    )
    thread.context.events.emit("result", **result.event())


async def _driven(thread: AcquiredThread, spec: RunSpec, ask: AskUser | None) -> RunResult:
    context, database = thread.context, thread.database
    driver = CheckpointWriter(spec.thread_id, thread.generation)
    async with open_graph(spec.settings, database, driver=driver) as graph:
        inbox = SqliteInbox(database, spec.thread_id, context.redactor)
        watched = spec.asked.supervise and spec.settings.supervisor.enabled
        beside = supervise_alongside(graph, database, context) if watched else nullcontext()
        async with beside:
            thread_run = ThreadRun(graph, context, inbox, ask, since=thread.since)
            ending = await thread_run.run(thread.task)
        return await close(thread_run, ending, database)


@asynccontextmanager
async def open_graph(
    settings: Settings, database: Database, *, driver: CheckpointWriter | None = None
) -> AsyncIterator[Graph]:
    """The compiled graph on the checkpoints of a repository, for running a thread or only reading."""
    async with open_checkpoints(database, driver=driver) as saver:
        graph = build_graph(settings.budget).compile(checkpointer=saver)
        yield graph.with_config(recursion_limit=UNLIMITED)


async def _steering(thread_run: ThreadRun, database: Database) -> str:
    thread_id = thread_run.context.thread_id
    items = await SqliteInbox(database, thread_id).after(0)
    found = await read_receipts(thread_run.graph, thread_id, items) if items else ()
    return steering_markdown(found, await InterventionLog(database, thread_id).all())


async def close(thread_run: ThreadRun, ending: RunEnd, database: Database) -> RunResult:
    """Write the report if the graph could not, and say how the run ended."""
    context, values = thread_run.context, (await thread_run.state()).values
    files, report = RunFiles(context.workspace.run_dir), values.get("report")
    if ending.status in (ThreadStatus.BUDGET, ThreadStatus.NEEDS_MODEL):
        reason = f"{ending.message} {ending.hint}".strip()
        known = interim_state(values, outcome=cast("Outcome", ending.status.value), reason=reason)
        report = await write_report(known, plain_narrative(known), context)
    written = report is not None and ending.status.reported
    if report is not None and written:
        # What became of the last words is known only now.
        steering = await _steering(thread_run, database)
        await write_markdown(context, f"{report.markdown}\n{steering}\n" if steering else report.markdown)
    return RunResult(
        thread_id=context.thread_id,
        status=ending.status,
        exit_code=ending.code,
        branch=context.workspace.branch,
        report_path=str(files.report) if written and files.report.exists() else "",
        diff_path=str(files.diff) if written and files.diff.exists() else "",
        usage=dict(context.models.usage()),
        message=context.redactor.clean(ending.message),
        hint=context.redactor.clean(ending.hint),
    )
