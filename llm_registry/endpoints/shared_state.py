"""The small database that all runs of this user share: breakers and slots of endpoints.

Owns the file, one connection, and short write transactions. What the tables mean is in `breaker` and `slots`.
"""

import asyncio
import platform
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import aiosqlite

from core.storage.database import connect, create_tables
from core.storage.user_state import state_folder

_UNREADABLE = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})


class SharedState:
    """One connection to the shared database; its transactions run one after another."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        """Hold the write lock of the file: what is read inside stays true until it is written."""
        async with self._lock:
            try:
                # Cancelled here, it still begins in the connection's thread; so it must be inside of what is undone.
                await self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
            except BaseException:
                await asyncio.shield(self._connection.rollback())
                raise
            await asyncio.shield(self._connection.commit())


@asynccontextmanager
async def open_shared_state(folder: Path | None = None) -> AsyncIterator[SharedState]:
    """Open the shared database, making it on first use.

    Args:
        folder: Where it lives; `None` means `$ROLECALL_STATE_DIR`, else the user's state folder, else (when that
            cannot be written) the temporary folder.
    """
    place = await asyncio.to_thread(state_folder, folder)
    async with AsyncExitStack() as stack:
        yield SharedState(await _opened(stack, place / f"endpoints-{_machine()}.db"))


async def _opened(stack: AsyncExitStack, path: Path) -> aiosqlite.Connection:
    try:
        return await _connected(stack, path)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode not in _UNREADABLE:
            raise
    # What it held is learnt again within minutes, so a file that a power cut spoilt must stop nobody.
    await asyncio.to_thread(_set_aside, path)
    return await _connected(stack, path)


async def _connected(stack: AsyncExitStack, path: Path) -> aiosqlite.Connection:
    async with AsyncExitStack() as attempt:
        connection = await attempt.enter_async_context(connect(path))
        # Losing the last second of this file to a power cut costs nothing.
        await connection.execute("PRAGMA synchronous=NORMAL")
        await create_tables(connection, _TABLES)
        stack.push_async_callback(attempt.pop_all().aclose)
    return connection


def _set_aside(path: Path) -> None:
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        with suppress(FileNotFoundError):
            path.with_name(name).replace(path.with_name(f"{name}.spoilt"))


def _machine() -> str:
    # Process numbers mean something on one machine only, and home folders are often shared by several.
    return re.sub(r"[^A-Za-z0-9.-]", "-", platform.node()) or "local"


_TABLES = """
CREATE TABLE IF NOT EXISTS breakers(
    endpoint TEXT PRIMARY KEY, failures INTEGER NOT NULL, cool_s REAL NOT NULL, until REAL NOT NULL,
    trial_until REAL NOT NULL, reason TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS places(
    ticket INTEGER PRIMARY KEY AUTOINCREMENT, endpoint TEXT NOT NULL, holding INTEGER NOT NULL,
    pid INTEGER NOT NULL, born REAL NOT NULL);
CREATE INDEX IF NOT EXISTS places_by_endpoint ON places(endpoint, ticket);
"""
