"""The supervisor's loop: poll, consider, rest. The same code alongside a run and in a separate process."""

import asyncio
import logging
import time
from contextlib import suppress

from core.config.settings import Settings, SupervisorSettings
from core.context import Models
from core.errors import LockedError
from core.events import EventSink
from core.known_secrets import redactor_of
from core.storage.database import Database
from graph.drive.interruptible_stream import Graph
from graph.store.inbox import SqliteInbox
from graph.store.lease import Lease, live_holder, supervisor_lease
from graph.supervisor.interventions import Supervisor
from graph.supervisor.snapshot import Snapshot, take_snapshot
from graph.supervisor.status_line import StatusContext, keep_answering, keep_status
from graph.supervisor.thread_reader import CheckHistory, ThreadReader, open_thread_reader
from nodes.model_calls.model_call import budget_left

_LOG = logging.getLogger(__name__)
LONGEST_REST = 15
"""Multiples of `poll_s` by which an expensive poll may delay the next one."""


async def supervise(  # noqa: PLR0913 - all by name, each a collaborator of its own
    thread_id: str,
    *,
    database: Database,
    graph: Graph,
    models: Models,
    settings: Settings,
    events: EventSink,
    stop: asyncio.Event,
) -> bool:
    """Supervise a thread until `stop` is set, or until it is finished and no process runs it.

    Only one supervisor monitors a thread: if another already does, this one says so and returns `False`.

    Args:
        thread_id: The thread; it need not have started yet.
        database: With its checkpoints and inbox.
        graph: Compiled; read through a copy on its own connection.
        models: For opinions and status lines.
        settings: Of the run.
        events: Gets `intervention`, `status` and `warning` events.
        stop: Set it to end the watch.

    Raises:
        sqlite3.OperationalError: The file stays locked for 30 s.
    """
    try:
        async with (
            Lease(database, supervisor_lease(thread_id)),
            open_thread_reader(graph, database, thread_id) as watch,
        ):
            inbox = SqliteInbox(database, thread_id, redactor_of(settings))
            supervisor = Supervisor(thread_id, database, models=models, settings=settings, events=events)
            await supervisor.load()
            speaker = StatusContext(thread_id, models, events)
            await _Round(watch, supervisor, settings, models).go(speaker, inbox, database, stop)
    except LockedError as other:
        events.emit("warning", message=f"not supervised from here: {other.message}")
        return False
    return True


class _Round:
    def __init__(self, watch: ThreadReader, supervisor: Supervisor, settings: Settings, models: Models) -> None:
        self._watch, self._supervisor = watch, supervisor
        self._settings, self._models = settings, models
        self._attempts = CheckHistory()
        self._latest: Snapshot | None = None
        self._looking = asyncio.Lock()
        self._unconsidered = False

    async def go(self, speaker: StatusContext, inbox: SqliteInbox, database: Database, stop: asyncio.Event) -> None:
        every = self._settings.supervisor.status_every_s
        telling = [
            asyncio.create_task(keep_status(speaker, self._seen, every_s=every), name="status"),
            asyncio.create_task(keep_answering(speaker, self._seen, inbox), name="answers"),
        ]
        try:
            while not stop.is_set():
                began = time.perf_counter()
                await self._consider()
                # A finished thread that somebody runs is being continued: its first new checkpoint is still to come.
                over = self._latest is not None and self._latest.finished
                if over and await live_holder(database, speaker.thread) is None:
                    return
                await rest(stop, rest_after(time.perf_counter() - began, self._settings.supervisor))
            # The last checks of a run may have come after the last look.
            snapshot = await self._seen()
            if snapshot is not None and snapshot.finished:
                await self._supervisor.finish(snapshot)
        finally:
            await self._supervisor.close()
            for task in telling:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _consider(self) -> None:
        """Poll, and consider what is new."""
        snapshot = await self._seen()
        if snapshot is None or not self._unconsidered:
            return
        self._unconsidered = False
        _LOG.debug(
            "supervisor poll: node %s, %d tool calls, %d model calls, %.0f %% of the tightest limit",
            snapshot.node, snapshot.work, snapshot.calls, snapshot.used * 100,
        )  # fmt: skip
        await self._supervisor.consider(snapshot)
        if snapshot.finished:
            await self._supervisor.finish(snapshot)

    async def _seen(self) -> Snapshot | None:
        """The thread as it is now; reads it in full only when it has changed."""
        async with self._looking:
            if await self._watch.changed():
                await self._look()
            return self._latest

    async def _look(self) -> None:
        sight = await self._watch.look()
        if not sight.begun:
            return
        self._unconsidered = True
        self._latest = take_snapshot(
            sight.outer,
            sight.inner,
            node=sight.node,
            earlier=self._attempts.note(sight.outer),
            limits=self._settings.budget,
            left=budget_left(self._models, self._settings.budget),
        )


def rest_after(spent_s: float, settings: SupervisorSettings) -> float:
    """Seconds to rest after a poll that took `spent_s`, so that polling stays a small share of the time."""
    fair = spent_s / settings.max_load
    return min(max(settings.poll_s, fair), settings.poll_s * LONGEST_REST)


async def rest(stop: asyncio.Event, seconds: float) -> None:
    """Wait, but no longer than until `stop` is set."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
