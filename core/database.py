"""How every table of rolecall is reached: one SQLite file, write-ahead log, patient with other writers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite

BUSY_TIMEOUT_S = 30


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
        await connection.execute("PRAGMA journal_mode=WAL")
        yield connection
