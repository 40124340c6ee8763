"""Keeps the thread list of LangGraph's development server in sync with the repository's.

The server lists only threads it was told of, with the status and values of its own runs; whatever the command line
starts, resumes or deletes in the meantime is written into its list here. No thread and no checkpoint is touched.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

from core.config.settings import Settings
from core.storage.database import Database
from core.threads import ThreadRow
from graph.drive.interruptible_stream import Graph
from graph.runner import open_graph
from graph.store.lease import live_holder
from graph.store.thread_store import ThreadStore
from rolecall.web.studio_graph import repository
from tools.git.repository import find_top
from tools.git.state_folder import ensure_layout

POLL_S = 2.0
_OWN_RUN_S = 5.0
"""Seconds within which a row and a run of the server refer to the same change."""


@asynccontextmanager
async def keep_thread_list(_app: object) -> AsyncIterator[None]:
    """Maintain the list for as long as the server runs; it is complete when the block starts."""
    handle = Database((await ensure_layout(await find_top(repository()))).database)
    async with handle as database, open_graph(Settings(), database) as graph:
        known = ThreadList(database, graph)
        await known.refresh()
        task = asyncio.create_task(_keep(known), name="list of threads")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _keep(known: "ThreadList") -> None:
    while True:
        await asyncio.sleep(POLL_S)
        await known.refresh()


class ThreadList:
    """The threads of a repository as in the server's list."""

    def __init__(self, database: Database, graph: Graph) -> None:
        self._database, self._graph = database, graph
        self._seen: dict[UUID, tuple[object, ...]] = {}
        self._failed = ""

    async def refresh(self) -> None:
        """Bring the list up to date; what cannot be read is reported once and retried."""
        try:
            rows = await ThreadStore(self._database).list()
            for row in rows:
                await self._note(row)
            self._drop(self._seen.keys() - {UUID(row.thread_id) for row in rows})
            self._failed = ""
        except Exception as error:  # noqa: BLE001 - whatever cannot be listed, the server goes on
            if str(error) != self._failed:
                self._failed = str(error)
                print(f"warning: the threads could not be listed in Studio: {error}", file=sys.stderr)

    async def _note(self, row: ThreadRow) -> None:
        ident = UUID(row.thread_id)
        busy = row.status == "running" and await live_holder(self._database, row.thread_id) is not None
        stands = (row.status, row.updated, busy)
        if self._seen.get(ident) == stands and not busy:
            return
        self._seen[ident] = stands
        if _is_own(ident, row):
            return  # the server knows better what became of its run
        state = await self._graph.aget_state({"configurable": {"thread_id": row.thread_id}})
        idle = "interrupted" if state.next else "idle"
        entry = _entry(ident, row)
        entry["status"] = "busy" if busy else idle
        entry["values"] = _plain(state.values) if state.values else None
        entry["interrupts"] = {task.id: _plain(task.interrupts) for task in state.tasks if task.interrupts}
        entry["updated_at"] = entry["state_updated_at"] = row.updated

    def _drop(self, gone: set[UUID]) -> None:
        for ident in gone:
            del self._seen[ident]
        threads = _store()["threads"]
        threads[:] = [thread for thread in threads if thread["thread_id"] not in gone]


def _entry(ident: UUID, row: ThreadRow) -> dict[str, Any]:
    """The thread in the server's list, added when it is new."""
    threads: list[dict[str, Any]] = _store()["threads"]
    found = next((thread for thread in threads if thread["thread_id"] == ident), None)
    if found is None:
        found = {"thread_id": ident, "created_at": row.created, "metadata": {}, "config": {}}
        threads.append(found)
    found["metadata"] |= {"graph_id": "rolecall", "task": row.task, "rolecall_status": row.status}
    return found


def _is_own(ident: UUID, row: ThreadRow) -> bool:
    """Whether the latest news of the thread is a run of the server."""
    runs = [run for run in _store()["runs"] if run["thread_id"] == ident]
    latest = max((run["updated_at"].timestamp() for run in runs), default=0.0)
    return (
        any(run["status"] in {"pending", "running"} for run in runs) or latest + _OWN_RUN_S >= row.updated.timestamp()
    )


def _store() -> dict[str, Any]:
    from langgraph_runtime_inmem.database import GLOBAL_STORE

    store: dict[str, Any] = GLOBAL_STORE
    return store


def _plain(value: object) -> Any:
    """A value as in the server's answers."""
    from langgraph_api.serde import json_dumpb, json_loads

    return json_loads(json_dumpb(value))
