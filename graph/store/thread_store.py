"""The list of a repository's threads: what was asked, where the work is, how it ended. Runs none."""

import json
import time
from collections.abc import Callable
from typing import TypeVar

from core.errors import ThreadError
from core.storage.database import Database, Row, Transaction
from core.storage.storage_errors import damaged
from core.threads import ThreadOptions, ThreadRow, ThreadStatus

T = TypeVar("T")
_PROMPTS_OF = "DELETE FROM call_prompts WHERE trace_id IN (SELECT trace_id FROM calls WHERE thread = :thread)"
"""Prompts name their call, and only the call its thread."""
_ADD = """INSERT INTO threads(thread_id, task, repo, branch, status, exit_code, options, created, updated)
          VALUES(:thread, :task, :repo, :branch, :status, :exit_code, :options, :created, :updated)
          ON CONFLICT DO NOTHING RETURNING thread_id"""
_SET_STATUS = "UPDATE threads SET status = :status, exit_code = :code, updated = :now WHERE thread_id = :thread"
_BEGINNING = "SELECT 1 FROM threads WHERE substr(thread_id, 1, length(:given)) = :given LIMIT 1"
_FENCED = "AND EXISTS (SELECT 1 FROM leases WHERE thread_id = :thread AND generation = :generation)"
TABLES_BY_THREAD = """SELECT m.name AS t, c.name AS c FROM sqlite_master m JOIN pragma_table_info(m.name) c
                      WHERE m.type = 'table' AND c.name IN ('thread_id', 'thread')"""
"""The tables with rows of single threads, each with the column that names the thread."""


class ThreadStore:
    """The table of threads in the database of a repository.

    Args:
        database: Of the repository.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, row: ThreadRow) -> bool:
        """Add a thread; an existing one is left as it is.

        Returns:
            Whether it is new.
        """
        values = {
            "thread": row.thread_id, "task": row.task, "repo": str(row.repo), "branch": row.branch,
            "status": row.status, "exit_code": row.exit_code, "options": _written(row.options),
            "created": row.created.timestamp(), "updated": row.updated.timestamp(),
        }  # fmt: skip
        return bool(await self._database.write(_ADD, values))

    async def set_status(
        self, thread_id: str, status: ThreadStatus, *, exit_code: int | None = None, generation: int | None = None
    ) -> bool:
        """Record the thread's current status.

        Args:
            thread_id: The thread.
            status: Its status.
            exit_code: Of the run that ended.
            generation: Of the caller's lease: an outdated one changes nothing.

        Returns:
            Whether it was recorded.
        """
        values = {"status": status, "code": exit_code, "now": time.time(), "thread": thread_id}
        fenced = "" if generation is None else _FENCED
        query = f"{_SET_STATUS} {fenced} RETURNING thread_id"
        return bool(await self._database.write(query, {**values, "generation": generation}))

    async def set_running(self, thread_id: str, also: Callable[[Transaction], T]) -> T:
        """Record that the thread runs now, together with what must not be lost once it is listed so.

        Args:
            thread_id: The thread.
            also: What is written in the same transaction.
        """
        values = {"status": ThreadStatus.RUNNING, "code": None, "now": time.time(), "thread": thread_id}

        def work(unit: Transaction) -> T:
            unit.execute(_SET_STATUS, values)
            return also(unit)

        return await self._database.transaction(work)

    async def set_options(self, thread_id: str, options: ThreadOptions) -> None:
        """Replace what applies to the next runs of the thread."""
        query = "UPDATE threads SET options = :options WHERE thread_id = :thread"
        await self._database.write(query, {"options": _written(options), "thread": thread_id})

    async def set_branch(self, thread_id: str, branch: str) -> None:
        """Set the thread's branch; empty as long as nothing was created for it."""
        query = "UPDATE threads SET branch = :branch WHERE thread_id = :thread"
        await self._database.write(query, {"branch": branch, "thread": thread_id})

    async def list(self) -> list[ThreadRow]:
        """All threads, newest first; rows that rolecall cannot have written are left out."""
        rows = await self._database.read("SELECT * FROM threads ORDER BY created DESC")
        return [found for row in rows if (found := _row(row)) is not None]

    async def unreadable(self) -> int:
        """How many rows `list` leaves out: their id is not a UUID, or their content is invalid."""
        return sum(_row(row) is None for row in await self._database.read("SELECT * FROM threads"))

    async def last(self) -> ThreadRow:
        """The thread that was worked on last.

        Raises:
            ThreadError: There is none.
        """
        rows = sorted(await self.list(), key=lambda row: row.updated)
        if not rows:
            raise ThreadError("this repository has no threads yet", hint='start one with `rolecall run "…"`')
        return rows[-1]

    async def find(self, prefix: str) -> ThreadRow:
        """The one thread whose id starts with the prefix, or whose short name it is.

        Raises:
            ThreadError: None or several match.
            DamagedError: The only one has a row that cannot be read.
        """
        given = prefix.strip().lower()
        found = [row for row in await self.list() if row.thread_id.startswith(given) or row.short == given]
        if given and not found and await self._database.read(_BEGINNING, {"given": given}):
            raise damaged(f"the entry of thread {given!r} in the list of threads", "it holds what rolecall cannot read")
        if not given or not found:
            raise ThreadError(f"no thread {prefix!r} in this repository", hint="`rolecall threads list` shows them")
        if len(found) > 1:
            names = ", ".join(row.thread_id[:13] for row in found[:5])
            raise ThreadError(f"{prefix!r} matches {len(found)} threads: {names}", hint="give a longer prefix")
        return found[0]

    async def get(self, thread_id: str) -> ThreadRow | None:
        """The thread with this id, if it is in the list."""
        rows = await self._database.read("SELECT * FROM threads WHERE thread_id = :thread", {"thread": thread_id})
        return _row(rows[0]) if rows else None

    async def forget(self, thread_id: str) -> None:
        """Remove the thread's row and all its rows in other tables, except leases.

        The caller holds the leases meanwhile; see `Lease`. What was written is also overwritten, and the
        space freed.
        """

        def forgotten(unit: Transaction) -> None:
            unit.execute(_PROMPTS_OF, {"thread": thread_id})
            for row in unit.execute(TABLES_BY_THREAD):
                if row["t"] != "leases":
                    query = f'DELETE FROM "{row["t"]}" WHERE "{row["c"]}" = :thread'  # noqa: S608 - from the schema
                    unit.execute(query, {"thread": thread_id})

        await self._database.erase(forgotten)


def _written(options: ThreadOptions) -> str:
    return json.dumps(options.model_dump(exclude_unset=True))


def _row(row: Row) -> ThreadRow | None:
    try:
        return ThreadRow.model_validate({**row, "options": json.loads(row["options"])})
    except (ValueError, TypeError, RecursionError):
        return None
    except KeyError as error:
        raise damaged("the table of threads", "a column is missing") from error
