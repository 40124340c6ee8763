"""The verbs about threads themselves: list them, show one, read its events, delete some, or adopt them."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from core.storage.layout import RepoLayout
from core.threads import ThreadRow, ThreadStatus
from rolecall.service.event_reader import Follower
from rolecall.service.lookup import (
    OnThread,
    Request,
    ThreadRequest,
    as_it_stands,
    database_in,
    found,
    record_of,
    store_of,
    top_of,
    unheard,
)
from rolecall.service.plain import blocking

if TYPE_CHECKING:
    from graph.store.adoption import AdoptedFolder
    from graph.store.receipts import Receipt


class ThreadListing(BaseModel):
    """The threads of a repository, newest first."""

    model_config = ConfigDict(frozen=True)

    repo: Path
    """Top level of the repository."""
    threads: tuple[ThreadRow, ...] = ()
    unreadable: int = 0
    """Entries that rolecall cannot have written, which are left out."""


class Message(BaseModel):
    """What was put into a thread's inbox, and what became of it."""

    model_config = ConfigDict(frozen=True)

    id: int
    kind: str
    author: str
    text: str
    status: str
    """`queued`, `seen`, `undelivered`, or `obeyed` by a pause."""
    node: str
    checkpoint: str
    refused: str
    """Why it was not followed; empty when it was, or if unknown."""


class ThreadDetails(ThreadRow):
    """A thread with its files and messages."""

    files: dict[str, str]
    """Paths of its `report`, `diff` and `events`, as far as they show its current state."""
    messages: tuple[Message, ...] = ()


class EventsRequest(ThreadRequest):
    """What a thread recorded."""

    after: int = Field(default=0, ge=0)
    """`Events.cursor` of the previous call; 0 for all."""


class Events(BaseModel):
    """What a thread recorded, as it was written."""

    model_config = ConfigDict(frozen=True)

    thread: str
    events: tuple[dict[str, Any], ...]
    cursor: int
    """Where the next call continues."""


class DeleteRequest(Request):
    """Threads to delete, with worktrees and branches."""

    threads: tuple[str, ...] = Field(min_length=1)


class Deleted(BaseModel):
    """The full ids of the deleted threads."""

    model_config = ConfigDict(frozen=True)

    threads: tuple[str, ...]


@blocking
async def list_threads(request: Request) -> ThreadListing:
    """All threads of a repository, each in its current state.

    Raises:
        RepositoryError: There is no repository, or its `.rolecall/` is not ours.
    """
    top = await top_of(request.repo)
    if await database_in(top) is None:
        return ThreadListing(repo=top)
    store = await store_of(top)
    rows = [await as_it_stands(row, top) for row in await store.list()]
    return ThreadListing(repo=top, threads=tuple(rows), unreadable=await store.unreadable())


@blocking
async def thread(request: ThreadRequest, *, on_thread: OnThread = unheard) -> ThreadDetails:
    """One thread in detail.

    Raises:
        ThreadError: The thread is unknown.
    """
    top, row = await found(request, on_thread)
    row = await as_it_stands(row, top)
    return ThreadDetails(**dict(row), files=_files(top, row), messages=await _messages(top, row))


@blocking
async def events(request: EventsRequest, *, on_thread: OnThread = unheard) -> Events:
    """What a thread has recorded since a previous call, even while it runs.

    Raises:
        ThreadError: The thread is unknown.
    """
    top, row = await found(request, on_thread)
    follower = Follower(record_of(top, row.thread_id), request.after)
    records = await asyncio.to_thread(follower.fresh)
    return Events(thread=row.thread_id, events=tuple(records), cursor=follower.offset)


@blocking
async def delete(request: DeleteRequest, *, on_thread: OnThread = unheard) -> Deleted:
    """Delete threads, with their worktrees, branches and rows; none is touched unless all are known.

    Raises:
        ThreadError: A thread is unknown.
        LockedError: A thread is running or supervised; those named before it are deleted.
    """
    from core.storage.database import database_of
    from graph.store.lease import Lease, supervisor_lease
    from tools.worktree.workspace import GitWorkspace

    top = await top_of(request.repo)
    store, database, layout = await store_of(top), database_of(top), RepoLayout(top)
    rows = [await store.find(name) for name in request.threads]
    for row in {row.thread_id: row for row in rows}.values():
        on_thread(row)
        # Nobody may begin to drive it while it goes away; a thread that is driven or supervised stays.
        async with (
            Lease(database, row.thread_id, discard=True),
            Lease(database, supervisor_lease(row.thread_id), discard=True),
        ):
            await (await GitWorkspace.open(top, row.thread_id)).remove()
            await asyncio.to_thread(layout.remove_run, row.thread_id)
            await store.forget(row.thread_id)
    return Deleted(threads=tuple(dict.fromkeys(row.thread_id for row in rows)))


@blocking
async def adopt(request: Request) -> "AdoptedFolder":
    """Adopt a `.rolecall/` that another machine, user or version created.

    Raises:
        RepositoryError: There is no repository.
    """
    from graph.store.adoption import adopt_folder

    return await adopt_folder(await top_of(request.repo))


def _files(top: Path, row: ThreadRow) -> dict[str, str]:
    """The files the thread wrote so far. A report from an earlier end no longer applies."""
    files = RepoLayout(top).run(row.thread_id)
    papers = {"report": files.report, "diff": files.diff} if row.status.reported else {}
    papers["events"] = files.events
    return {name: str(path) for name, path in papers.items() if path.is_file()}


async def _messages(top: Path, row: ThreadRow) -> tuple[Message, ...]:
    from core.storage.database import database_of
    from graph.store.inbox import SqliteInbox

    database = database_of(top)
    items = await SqliteInbox(database, row.thread_id).after(0)
    if not items:
        return ()
    from core.config.settings import Settings
    from core.text import single_line
    from graph.runner import open_graph
    from graph.store.receipts import read_receipts

    async with open_graph(Settings(), database) as graph:
        told = await read_receipts(graph, row.thread_id, items)
    return tuple(
        Message(
            **receipt.item.model_dump(include={"id", "kind", "author"}),
            text=single_line(receipt.item.text),
            status=_became(receipt, row.status),
            node=receipt.node,
            checkpoint=receipt.checkpoint,
            refused=receipt.refused,
        )
        for receipt in told
    )


def _became(receipt: "Receipt", status: ThreadStatus) -> str:
    """What became of a message; the graph itself sees an order that stopped it only when it is resumed."""
    stopped_it = receipt.item.kind == "pause" and receipt.status == "queued" and status == ThreadStatus.PAUSED
    return "obeyed" if stopped_it else receipt.status
