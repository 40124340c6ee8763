"""How every table of rolecall is reached: one SQLite file, write-ahead log, waiting for other writers.

What a database file brings along besides rows is never run: it is refused with triggers or views, functions named in
its schema are not trusted, and no link is followed to it.
"""

import asyncio
import sqlite3
import stat
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiosqlite

from core.errors import RepositoryError

BUSY_TIMEOUT_S = 30
VERSION = 1
"""Of the tables' layout; increased when an older rolecall could no longer read or write them correctly."""
_RETRY_S = 0.01
_BY_PIECES = 2
"""SQLite's number for a file that is shrunk when it is asked to."""


@asynccontextmanager
async def connect(path: Path) -> AsyncIterator[aiosqlite.Connection]:
    """Open the database for one owner; rows come as `aiosqlite.Row`.

    Args:
        path: The file; its folder must exist.

    Raises:
        sqlite3.OperationalError: The file cannot be opened or stays locked for 30 s.
        RepositoryError: It is not a plain file, holds triggers or views, or was written by a newer rolecall.
    """
    async with opened(path) as connection:
        connection.row_factory = aiosqlite.Row
        yield connection


@asynccontextmanager
async def opened(path: Path, *, checked: bool = True) -> AsyncIterator[aiosqlite.Connection]:
    """Like `connect`, with rows as tuples.

    Args:
        path: The file; its folder must exist.
        checked: Whether it is refused with triggers or views; nothing else may be done with one that was not.
    """
    _require_plain(path)
    async with AsyncExitStack() as stack:
        try:
            connecting = aiosqlite.connect(path, timeout=BUSY_TIMEOUT_S, factory=_Guarded)
            connection = await stack.enter_async_context(connecting)
            await _require_version(connection, path)
            await _write_ahead(connection)
            if checked:
                await _require_tables_only(connection, path)
        except sqlite3.Error as error:
            raise about(error, path) from None
        yield connection


def about(error: sqlite3.Error, path: Path) -> sqlite3.Error:
    """SQLite's error with the name of the file, which SQLite itself leaves out."""
    vars(error).setdefault("filename", str(path))
    return error


async def give_back(connection: aiosqlite.Connection) -> None:
    """Shrink the file by what was deleted from it.

    A file of an older rolecall cannot shrink piece by piece, so it is rewritten once; that waits for the next
    time if another process is reading it.
    """
    if await _number(connection, "auto_vacuum") == _BY_PIECES:
        await connection.executescript("PRAGMA incremental_vacuum")  # executed, it would free one page and stop
    else:
        await connection.execute(f"PRAGMA auto_vacuum={_BY_PIECES}")
        with suppress(sqlite3.OperationalError):
            await connection.execute("VACUUM")
    async with connection.execute("PRAGMA wal_checkpoint(TRUNCATE)") as rows:
        await rows.fetchall()


async def drop_programs(connection: aiosqlite.Connection) -> tuple[str, ...]:
    """Drop every trigger and view, and the indexes, which are made again where they are wanted; their names."""
    query = "SELECT type, name FROM sqlite_master WHERE type IN ('trigger', 'view', 'index') AND sql IS NOT NULL"
    async with connection.execute(query) as rows:
        found = [(str(row[0]), str(row[1])) async for row in rows]
    for kind, name in found:
        quoted = name.replace('"', '""')
        await connection.execute(f'DROP {kind} "{quoted}"')
    await connection.commit()
    return tuple(f"{kind} {name}" for kind, name in found if kind != "index")


class _Guarded(sqlite3.Connection):
    """A connection that runs our statements and nothing its schema defines."""

    def __init__(self, database: str, *args: Any, **named: Any) -> None:
        super().__init__(database, *args, **named)
        try:
            for setting in ("trusted_schema=OFF", "cell_size_check=ON"):
                self.execute(f"PRAGMA {setting}").close()
            defensive = getattr(sqlite3, "SQLITE_DBCONFIG_DEFENSIVE", None)  # from Python 3.12 on
            if defensive is not None:
                vars(sqlite3.Connection)["setconfig"](self, defensive)
        except BaseException:
            self.close()
            raise


def _require_plain(path: Path) -> None:
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm", f"{path.name}-journal"):
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(path.with_name(name).lstat().st_mode):
                raise RepositoryError(
                    f"{path.with_name(name)} is a link or not a file, so the database is not opened",
                    hint="if you did not put it there, delete it",
                )


async def _require_version(connection: aiosqlite.Connection, path: Path) -> None:
    """See that the file is not of a later rolecall; a new file gets our version, and learns to shrink."""
    found = await _number(connection, "user_version")
    if found > VERSION:
        raise RepositoryError(
            f"{path} was written by a newer rolecall (layout {found}; this one knows {VERSION})",
            hint="use the newer rolecall for this repository",
        )
    if found == 0 and await _number(connection, "page_count") == 0:
        await connection.execute(f"PRAGMA auto_vacuum={_BY_PIECES}")
        await connection.execute(f"PRAGMA user_version={VERSION}")


async def _number(connection: aiosqlite.Connection, pragma: str) -> int:
    async with connection.execute(f"PRAGMA {pragma}") as rows:
        row = await rows.fetchone()
    return int(row[0]) if row else 0


async def _require_tables_only(connection: aiosqlite.Connection, path: Path) -> None:
    query = "SELECT type, name FROM sqlite_master WHERE type IN ('trigger', 'view') LIMIT 1"
    async with connection.execute(query) as rows:
        found = await rows.fetchone()
    if found is not None:
        raise RepositoryError(
            f"{path} contains the {found[0]} {str(found[1])[:80]!r}, which rolecall did not create, so it is not used",
            hint="if it is your own, `rolecall threads adopt` drops what is not rolecall's; else delete it",
        )


async def create_tables(connection: aiosqlite.Connection, schema: str) -> None:
    """Run `CREATE … IF NOT EXISTS` statements; waits for others who do the same on a new file.

    Without the lock taken first, SQLite reads, finds the file changed under it and gives up at once.
    """
    await connection.executescript(f"BEGIN IMMEDIATE;\n{schema}\nCOMMIT;")


async def _write_ahead(connection: aiosqlite.Connection) -> None:
    """Switch to the write-ahead log. SQLite does not wait for this one when others open a new file at the same time."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            async with connection.execute("PRAGMA journal_mode=WAL") as cursor:
                await cursor.fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            await asyncio.sleep(_RETRY_S)
        else:
            return
