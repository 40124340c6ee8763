"""How every table of rolecall is reached: one SQLite file, write-ahead log, patient with other writers."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite

BUSY_TIMEOUT_S = 30
_RETRY_S = 0.01


@asynccontextmanager
async def connect(path: Path) -> AsyncIterator[aiosqlite.Connection]:
    """Open the database for one owner; rows come as `aiosqlite.Row`.

    Args:
        path: The file; its folder must exist.

    Raises:
        sqlite3.OperationalError: The file cannot be opened or stays locked for 30 s.
    """
    async with aiosqlite.connect(path, timeout=BUSY_TIMEOUT_S) as connection:
        connection.row_factory = aiosqlite.Row
        await _write_ahead(connection)
        yield connection


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
