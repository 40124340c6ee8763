"""A thread whose graph a development server drives: held and noted as one of the command line. It steers nothing."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from core.context import Context
from core.errors import BudgetError, ModelError
from graph.acquire import held
from graph.context_factory import ThreadSpec
from graph.drive.thread_run import Ride, stop_by
from graph.runner import close, note, open_graph
from graph.store.inbox import SqliteInbox


@asynccontextmanager
async def served(spec: ThreadSpec, task: str, *, kept: Mapping[str, Any]) -> AsyncIterator[Context]:
    """Hold the thread while the server runs its graph; leaving the block writes down how it stands then.

    Raises:
        RepositoryError: The repository cannot be worked in; nothing was changed.
        ConfigError: The settings cannot be used.
        LockedError: Another process drives the thread; nothing of it was changed.
    """
    failed: BudgetError | ModelError | None = None
    async with (
        held(spec, task, kept=kept) as thread,
        open_graph(spec.settings, thread.database) as graph,
        SqliteInbox(thread.database, spec.thread_id) as inbox,
    ):
        ride = Ride(graph, thread.context, inbox, None, since=thread.since)
        ride.announce(task, resumed=thread.known)
        try:
            yield thread.context
        except (BudgetError, ModelError) as error:
            failed = error
        ending = stop_by(failed) if failed else await ride.standing()
        await note(thread, await close(ride, ending, thread.database))
    if failed:
        raise failed  # only here, where it does not make an interrupted thread of one that has its ending
