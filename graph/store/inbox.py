"""The inbox: how guidance reaches a thread from any process. It only appends and reads; the cursor is graph state."""

import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import aiosqlite

from core.context import InboxItem
from core.redaction import Redactor
from core.storage.database import connect, create_tables

SCHEMA = """
CREATE TABLE IF NOT EXISTS inbox(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    thread_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    author TEXT NOT NULL,
    text TEXT NOT NULL,
    payload TEXT NOT NULL DEFAULT '{}',
    created REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS inbox_by_thread ON inbox(thread_id, id);
"""


class InboxStore(Protocol):
    """What any store of guidance must do; ids of one thread become visible in ascending order."""

    async def put(
        self, thread_id: str, *, kind: str, author: str, text: str, payload: Mapping[str, Any] | None = None
    ) -> int:
        """Append one row and return its id once it is durable."""

    async def after(self, cursor: int) -> list[InboxItem]:
        """Rows of this thread with an id above the cursor, oldest first."""

    async def last_id(self) -> int:
        """Highest id of this thread, 0 when it has no rows."""


class SqliteInbox:
    """The inbox of one thread in the SQLite file of the repository.

    SQLite lets one writer in at a time, so ids become visible in ascending order and a cursor misses none.
    It works as it is, with a connection per call; `async with` keeps one connection for the length of a run.

    Args:
        database: The file; its folder must exist.
        thread_id: The thread whose rows `after` and `last_id` read. `put` may write to any thread.
        redactor: Cleans every word that is put in, and every word that is read: it may know more secrets by then.
    """

    def __init__(self, database: Path, thread_id: str, redactor: Redactor | None = None) -> None:
        self._redactor = redactor or Redactor()
        self._database = database
        self._thread_id = thread_id
        self._made = False
        self._stack = AsyncExitStack()
        self._kept: aiosqlite.Connection | None = None

    async def __aenter__(self) -> Self:
        self._kept = await self._stack.enter_async_context(self._open())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kept = None
        await self._stack.aclose()

    async def put(
        self, thread_id: str, *, kind: str, author: str, text: str, payload: Mapping[str, Any] | None = None
    ) -> int:
        """Append one row and return its id once it is durable.

        Raises:
            sqlite3.OperationalError: The file stayed locked for 30 s.
        """
        more = json.dumps(self._redactor.clean_tree(dict(payload or {})))
        row = (thread_id, kind, author, self._redactor.clean(text), more, time.time())
        async with self._open() as db:
            cursor = await db.execute(
                "INSERT INTO inbox(thread_id, kind, author, text, payload, created) VALUES(?, ?, ?, ?, ?, ?)", row
            )
            await db.commit()
        if cursor.lastrowid is None:
            msg = "the inbox gave no id to a row it stored"
            raise aiosqlite.DatabaseError(msg)
        return cursor.lastrowid

    async def after(self, cursor: int) -> list[InboxItem]:
        """Rows of this thread with an id above the cursor, oldest first."""
        query = "SELECT * FROM inbox WHERE thread_id = ? AND id > ? ORDER BY id"
        async with self._open() as db, db.execute(query, (self._thread_id, cursor)) as rows:
            found = [{**dict(row), "payload": _payload(row)} async for row in rows]
        return [InboxItem(**self._redactor.clean_tree(row)) for row in found]

    async def last_id(self) -> int:
        """Highest id of this thread, 0 when it has no rows."""
        query = "SELECT COALESCE(MAX(id), 0) FROM inbox WHERE thread_id = ?"
        async with self._open() as db, db.execute(query, (self._thread_id,)) as rows:
            row = await rows.fetchone()
        return int(row[0]) if row else 0

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[aiosqlite.Connection]:
        if self._kept is not None:
            yield self._kept
            return
        async with connect(self._database) as db:
            if not self._made:
                await create_tables(db, SCHEMA)
                self._made = True
            yield db


def _payload(row: aiosqlite.Row) -> dict[str, Any]:
    """What came with a message; nothing where the row is damaged, since the words are what counts."""
    try:
        found = json.loads(row["payload"])
    except (ValueError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
