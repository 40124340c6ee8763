"""The supervisor as a companion of a run in the same process: starts and ends with it, and never makes it fail."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.context import Context
from core.errors import traceback_text
from core.storage.database import Database
from graph.drive.interruptible_stream import Graph
from graph.supervisor.supervise import supervise

_LOG = logging.getLogger(__name__)
LEAVE_S = 1.0


@asynccontextmanager
async def supervise_alongside(graph: Graph, database: Database, context: Context) -> AsyncIterator[None]:
    """Supervise a run from within its process for as long as the block lasts.

    A supervisor that fails is a warning: it must not bring the run down.
    """
    stop = asyncio.Event()
    watching = asyncio.create_task(
        supervise(
            context.thread_id,
            database=database,
            graph=graph,
            models=context.models,
            settings=context.settings,
            events=context.events,
            stop=stop,
        ),
        name="supervisor",
    )

    def tell(task: asyncio.Task[bool]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error("the supervisor failed", exc_info=error)
            said = f"the run continues without its supervisor: {error}"
            context.events.emit("warning", message=said, traceback=traceback_text(error))

    watching.add_done_callback(tell)
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait({watching}, timeout=LEAVE_S)
        watching.cancel()
        await asyncio.wait({watching})
