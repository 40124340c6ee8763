"""A thread whose graph a development server runs: held and recorded as by the command line. It steers nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.context import Context
from core.errors import BudgetError, ModelError
from graph.acquire import acquire_thread
from graph.context_factory import RunSpec
from graph.drive.thread_run import ThreadRun, run_end_for
from graph.runner import close, note, open_graph
from graph.store.inbox import SqliteInbox


@asynccontextmanager
async def hold_served_thread(spec: RunSpec, task: str) -> AsyncIterator[Context]:
    """Hold the thread while the server runs its graph; leaving the block records its status.

    Raises:
        RepositoryError: The repository cannot be used; nothing was changed.
        ConfigError: The settings cannot be used.
        LockedError: Another process is running the thread; nothing of it was changed.
    """
    failed: BudgetError | ModelError | None = None
    async with (
        acquire_thread(spec, task) as thread,
        open_graph(spec.settings, thread.database) as graph,
    ):
        inbox = SqliteInbox(thread.database, spec.thread_id)
        thread_run = ThreadRun(graph, thread.context, inbox, None, since=thread.since)
        thread_run.announce(task, resumed=thread.known)
        try:
            yield thread.context
        except (BudgetError, ModelError) as error:
            failed = error
        ending = run_end_for(failed) if failed else await thread_run.current_end()
        await note(thread, await close(thread_run, ending, thread.database))
    if failed:
        raise failed  # only here, where it does not make an interrupted thread of one that has its ending
