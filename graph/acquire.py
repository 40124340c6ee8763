"""Acquires a thread before it runs: it is listed and leased, and its collaborators are open. Does not run it."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from core.context import Context
from core.errors import ModelError
from core.storage.database import Database, Transaction
from core.storage.thread_ids import require_thread_id
from core.threads import ThreadRow, ThreadStatus
from graph.context_factory import RunSpec, open_context
from graph.store.event_log import Listen
from graph.store.inbox import REQUEST, SqliteInbox, requests_in
from graph.store.lease import Lease, fence_records
from graph.store.thread_store import ThreadStore
from llm_registry.specs.address_keys import keys_to_references
from tools.git.state_folder import ensure_layout
from tools.worktree.workspace import GitWorkspace


@dataclass(frozen=True, slots=True)
class AcquiredThread:
    """A thread that no other process is running."""

    context: Context
    store: ThreadStore
    database: Database
    task: str
    """What the thread was started for."""
    since: int
    """Id of the last inbox row before the lease was acquired."""
    known: bool
    """Whether it was in the list before."""
    generation: int
    """Of the lease that protects it."""


@asynccontextmanager
async def acquire_thread(
    spec: RunSpec, task: str, *, request: str = "", listen: Listen | None = None
) -> AsyncIterator[AcquiredThread]:
    """Hold a thread while the block runs; after an error, it is listed as interrupted.

    Args:
        spec: What it is opened with.
        task: The task; a thread that is already listed keeps its own.
        request: What the thread goes on with; put into its inbox once everything is open, as it is listed running.
        listen: Told of every event.

    Raises:
        RepositoryError: The repository cannot be used; nothing was changed.
        ConfigError: The settings cannot be used.
        ModelError: No model can do the task; this is listed, and nothing was created for it.
        LockedError: Another process is running the thread; nothing of it was changed.
    """
    require_thread_id(spec.thread_id)
    layout = await ensure_layout(spec.repo)
    async with Database(layout.database) as database, Lease(database, spec.thread_id) as lease:
        await fence_records(database, spec.thread_id, lease.generation)
        store, inbox = ThreadStore(database), SqliteInbox(database, spec.thread_id)
        since, earlier = await inbox.last_id(), requests_in(await inbox.after(0))
        before = await store.get(spec.thread_id)
        budget_from = time.time() if request else earlier[-1].created if earlier else 0.0
        async with _opened(spec, listen, database, _row(spec, task), lease, budget_from) as context:
            if before is not None and before.status == ThreadStatus.RUNNING:
                context.events.emit("interrupted", by="the previous run was killed, or the machine went down")

            def begin(unit: Transaction) -> int:
                return inbox.add(unit, spec.thread_id, kind=REQUEST, author="user", text=request) if request else since

            try:
                since = await store.set_running(spec.thread_id, begin)
                yield AcquiredThread(context, store, database, task, since, before is not None, lease.generation)
            except BaseException as error:
                # What ended the run may be what keeps us from writing that down; it is what the user is told.
                with suppress(OSError):
                    context.events.emit("interrupted", by=_said(error))
                with suppress(sqlite3.Error):
                    await store.set_status(spec.thread_id, ThreadStatus.INTERRUPTED, generation=lease.generation)
                raise


@asynccontextmanager
async def _opened(
    spec: RunSpec, listen: Listen | None, database: Database, row: ThreadRow, lease: Lease, budget_from: float
) -> AsyncIterator[Context]:
    """The collaborators of a thread, which is listed before anything is created for it: a kill loses no thread.

    One that cannot start leaves no worktree and no row behind.
    """
    store = ThreadStore(database)
    new = await store.create(row)
    async with AsyncExitStack() as stack:
        try:
            context = await stack.enter_async_context(open_context(spec, listen, database=database, since=budget_from))
        except ModelError as error:
            # Nothing was made for it yet; it can be resumed once somebody serves.
            await store.set_options(spec.thread_id, row.options)
            await store.set_status(spec.thread_id, ThreadStatus.NEEDS_MODEL, exit_code=int(error.exit_code))
            await store.set_branch(spec.thread_id, "")
            raise
        except BaseException:
            if new:
                await (await GitWorkspace.open(spec.repo, spec.thread_id)).remove()
                await store.forget(spec.thread_id)
                lease.discard = True
            raise
        await store.set_options(spec.thread_id, row.options)
        if not new:
            await store.set_branch(spec.thread_id, row.branch)
        yield context


def _said(error: BaseException) -> str:
    if isinstance(error, asyncio.CancelledError):
        return "stopped immediately, as requested"
    return f"{type(error).__name__}: {error}"


def _row(spec: RunSpec, task: str) -> ThreadRow:
    now = datetime.now(UTC)
    return ThreadRow(
        thread_id=spec.thread_id,
        task=task,
        repo=spec.repo,
        branch=GitWorkspace(spec.repo, spec.thread_id).branch,
        status=ThreadStatus.RUNNING,
        options=spec.asked.model_copy(update={"models": keys_to_references(spec.asked.models)[0]}),
        created=now,
        updated=now,
    )
