"""The list of threads of a repository: what was asked, where it is worked on, how it ended. Drives none."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite
from pydantic import BaseModel, ConfigDict, field_validator
from pydantic_core import PydanticCustomError

from core.errors import ThreadError
from core.storage.database import connect, give_back
from core.storage.storage_errors import damaged
from core.storage.thread_ids import is_thread_id, short_id
from graph.store.lease import SCHEMA as LEASES

SCHEMA = """
CREATE TABLE IF NOT EXISTS threads(
    thread_id TEXT PRIMARY KEY,
    task TEXT NOT NULL,
    repo TEXT NOT NULL,
    branch TEXT NOT NULL,
    status TEXT NOT NULL,
    exit_code INTEGER,
    options TEXT NOT NULL DEFAULT '{}',
    created REAL NOT NULL,
    updated REAL NOT NULL
)
"""
_PROMPTS_OF = "DELETE FROM call_prompts WHERE trace_id IN (SELECT trace_id FROM calls WHERE thread = ?)"
"""Prompts name their call, and only the call its thread."""
FINISHED = frozenset({"done", "answered", "not_done", "stuck"})
"""Statuses after which there is nothing to resume."""


class ThreadOptions(BaseModel):
    """What was asked for on the command line and holds for resuming too. What is none of this is left out."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)

    config: str = ""
    trust_project: bool = False
    supervise: bool = True
    limits: dict[str, float] = {}
    checks: list[str] = []
    models: dict[str, str] = {}


class ThreadRow(BaseModel):
    """One thread. `created` and `updated` are seconds since the epoch."""

    model_config = ConfigDict(frozen=True)

    thread_id: str
    task: str
    repo: Path
    branch: str
    status: str
    exit_code: int | None = None
    options: dict[str, Any] = {}
    """As `ThreadOptions` has them; only what was given."""
    created: float
    updated: float

    @field_validator("thread_id")
    @classmethod
    def _is_uuid(cls, thread_id: str) -> str:
        if not is_thread_id(thread_id):
            raise PydanticCustomError("thread_id", "the id of a thread is a UUID")
        return thread_id

    @field_validator("options")
    @classmethod
    def _are_known(cls, options: dict[str, Any]) -> dict[str, Any]:
        return ThreadOptions.model_validate(options).model_dump(exclude_unset=True)

    @property
    def short(self) -> str:
        """The short name of the thread, as in the name of its branch."""
        return short_id(self.thread_id)

    @property
    def finished(self) -> bool:
        """Whether it came to an end, good or bad."""
        return self.status in FINISHED


class ThreadStore:
    """The table of threads in the database of a repository.

    Args:
        database: The file; its folder must exist.
    """

    def __init__(self, database: Path) -> None:
        self._database = database

    async def create(self, row: ThreadRow) -> bool:
        """Add a thread; one that is there already stays as it is.

        Returns:
            Whether it is new.
        """
        values = (
            row.thread_id, row.task, str(row.repo), row.branch, row.status, row.exit_code,
            json.dumps(row.options), row.created, row.updated,
        )  # fmt: skip
        async with self._open() as db:
            added = await db.execute("INSERT OR IGNORE INTO threads VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
            await db.commit()
        return added.rowcount == 1

    async def set_status(
        self, thread_id: str, status: str, *, exit_code: int | None = None, generation: int | None = None
    ) -> bool:
        """Record how the thread stands now.

        Args:
            thread_id: The thread.
            status: How it stands.
            exit_code: Of the run that ended.
            generation: Of the lease of whoever says so: one that is out of date changes nothing.

        Returns:
            Whether it was recorded.
        """
        async with self._open() as db:
            await db.execute(LEASES)
            done = await db.execute(
                """UPDATE threads SET status = :status, exit_code = :code, updated = :now WHERE thread_id = :thread
                   AND (:generation IS NULL OR EXISTS (
                       SELECT 1 FROM leases WHERE thread_id = :thread AND generation = :generation))""",
                {"status": status, "code": exit_code, "now": time.time(), "thread": thread_id,
                 "generation": generation},
            )  # fmt: skip
            await db.commit()
        return done.rowcount == 1

    async def set_options(self, thread_id: str, options: dict[str, Any]) -> None:
        """Replace what holds for the next runs of the thread."""
        async with self._open() as db:
            await db.execute("UPDATE threads SET options = ? WHERE thread_id = ?", (json.dumps(options), thread_id))
            await db.commit()

    async def set_branch(self, thread_id: str, branch: str) -> None:
        """Say where the thread works; empty as long as nothing was made for it."""
        async with self._open() as db:
            await db.execute("UPDATE threads SET branch = ? WHERE thread_id = ?", (branch, thread_id))
            await db.commit()

    async def list(self) -> list[ThreadRow]:
        """All threads, newest first; rows that rolecall did not write so are left out."""
        async with self._open() as db, db.execute("SELECT * FROM threads ORDER BY created DESC") as rows:
            return [found async for row in rows if (found := _row(row)) is not None]

    async def unreadable(self) -> int:
        """How many rows `list` leaves out: their id is no UUID, or they do not hold what they should."""
        async with self._open() as db, db.execute("SELECT * FROM threads") as rows:
            return sum([_row(row) is None async for row in rows])

    async def last(self) -> ThreadRow:
        """The thread that was worked on last.

        Raises:
            ThreadError: There is none.
        """
        rows = sorted(await self.list(), key=lambda row: row.updated)
        if not rows:
            raise ThreadError("there is no thread in this repository yet", hint='start one with `rolecall run "…"`')
        return rows[-1]

    async def find(self, prefix: str) -> ThreadRow:
        """The one thread whose id begins with the prefix, or whose short name it is.

        Raises:
            ThreadError: None or several begin so.
        """
        given = prefix.strip().lower()
        found = [row for row in await self.list() if row.thread_id.startswith(given) or row.short == given]
        if not given or not found:
            raise ThreadError(f"there is no thread {prefix!r} here", hint="`rolecall threads list` shows them")
        if len(found) > 1:
            names = ", ".join(row.thread_id[:13] for row in found[:5])
            raise ThreadError(f"{prefix!r} is the beginning of {len(found)} threads: {names}", hint="give more of it")
        return found[0]

    async def get(self, thread_id: str) -> ThreadRow | None:
        """The thread with this id, if it is in the list."""
        async with self._open() as db, db.execute("SELECT * FROM threads WHERE thread_id = ?", (thread_id,)) as rows:
            row = await rows.fetchone()
        return _row(row) if row else None

    async def forget(self, thread_id: str) -> None:
        """Remove the thread's row and every row of other tables that is its own, leases aside.

        The leases are what its remover holds meanwhile; see `Lease`. What was written is overwritten too, and the
        space given back.
        """
        async with self._open() as db:
            await db.execute("PRAGMA secure_delete=ON")
            await db.execute("BEGIN IMMEDIATE")
            tables = await tables_by_thread(db)
            if await _has_table(db, "call_prompts") and ("calls", "thread") in tables:
                await db.execute(_PROMPTS_OF, (thread_id,))
            for table, column in tables:
                if table != "leases":
                    await db.execute(f'DELETE FROM "{table}" WHERE "{column}" = ?', (thread_id,))  # noqa: S608 - from the schema
            await db.commit()
            await give_back(db)

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[aiosqlite.Connection]:
        async with connect(self._database) as db:
            await db.execute(SCHEMA)
            yield db


async def _has_table(db: aiosqlite.Connection, name: str) -> bool:
    async with db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)) as rows:
        return await rows.fetchone() is not None


async def tables_by_thread(db: aiosqlite.Connection) -> list[tuple[str, str]]:
    """The tables that hold rows of single threads, each with the column that says whose."""
    query = """SELECT m.name AS t, c.name AS c FROM sqlite_master m JOIN pragma_table_info(m.name) c
               WHERE m.type = 'table' AND c.name IN ('thread_id', 'thread')"""
    async with db.execute(query) as rows:
        return [(str(row["t"]), str(row["c"])) async for row in rows]


def _row(row: aiosqlite.Row) -> ThreadRow | None:
    try:
        return ThreadRow.model_validate({**dict(row), "options": json.loads(row["options"])})
    except (ValueError, TypeError, RecursionError):
        return None
    except IndexError as error:
        raise damaged("the table of threads", "a column is missing") from error
