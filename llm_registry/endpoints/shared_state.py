"""The small database that all runs of this user share: breakers and slots of endpoints.

Owns the file. What the tables mean is in `breaker` and `slots`.
"""

import asyncio
import platform
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from core.storage.database import Database
from core.storage.database_file import Migration
from core.storage.user_state import state_folder

_UNREADABLE = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})


@asynccontextmanager
async def open_shared_state(folder: Path | None = None) -> AsyncIterator[Database]:
    """Open the shared database, creating it on first use.

    Args:
        folder: Where it is; `None` means `$ROLECALL_STATE_DIR`, else the user's state directory, else (when that
            cannot be written) the temporary directory.
    """
    place = await asyncio.to_thread(state_folder, folder)
    async with AsyncExitStack() as stack:
        # Process numbers mean something on one machine only, and home folders are often shared by several.
        machine = re.sub(r"[^A-Za-z0-9.-]", "-", platform.node()) or "local"
        yield await _opened(stack, Database(place / f"endpoints-{machine}.db", (_TABLES, _KINDS)))


async def _opened(stack: AsyncExitStack, database: Database) -> Database:
    try:
        return await stack.enter_async_context(database)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode not in _UNREADABLE:
            raise
    # What it held is learnt again within minutes, so a file that a power cut spoilt must stop nobody.
    await asyncio.to_thread(_set_aside, database.path)
    return await stack.enter_async_context(database)


def _set_aside(path: Path) -> None:
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        with suppress(FileNotFoundError):
            path.with_name(name).replace(path.with_name(f"{name}.spoilt"))


_TABLES = Migration(1, """
CREATE TABLE IF NOT EXISTS breakers(
    endpoint TEXT PRIMARY KEY, failures INTEGER NOT NULL, cool_s REAL NOT NULL, until REAL NOT NULL,
    trial_until REAL NOT NULL, reason TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS places(
    ticket INTEGER PRIMARY KEY AUTOINCREMENT, endpoint TEXT NOT NULL, holding INTEGER NOT NULL,
    pid INTEGER NOT NULL, born REAL NOT NULL);
CREATE INDEX IF NOT EXISTS places_by_endpoint ON places(endpoint, ticket);
""")  # fmt: skip
_KINDS = Migration(2, "", {"breakers": {"kind": "TEXT"}})
