"""The lease: at most one process drives a thread. It guards the thread; it does not know what driving means."""

import asyncio
import os
import platform
import sqlite3
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import aiosqlite
import psutil

from core.errors import LockedError
from core.storage.database import connect

FENCED = "the lease of this thread was taken over"
"""What the database answers to a writer that is out of date."""
HEARTBEAT_S = 10.0
STALE_S = 60.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS leases(
    thread_id TEXT PRIMARY KEY,
    pid INTEGER NOT NULL,
    host TEXT NOT NULL,
    process_started REAL NOT NULL,
    since REAL NOT NULL,
    heartbeat REAL NOT NULL,
    generation INTEGER NOT NULL,
    released INTEGER NOT NULL
)
"""


@dataclass(frozen=True, slots=True)
class LeaseHolder:
    """Who drives a thread."""

    pid: int
    host: str
    process_started: float
    """Tells a process from a later one with the same pid; seconds since the epoch."""
    since: float
    heartbeat: float
    generation: int
    released: bool

    def alive(self, *, here: str, now: float) -> bool:
        """Whether the thread is still driven: by the process itself on this host, elsewhere by its heartbeat."""
        if self.released:
            return False
        if self.host != here:
            return now - self.heartbeat <= STALE_S
        return _started(self.pid) == self.process_started


class Lease:
    """Hold a thread for as long as the block runs.

    When another process takes the thread over (this one was suspended past its heartbeat), the block is cancelled
    and leaves with `LockedError`, so that two drivers never write side by side.

    Args:
        database: The file with the leases; its folder must exist.
        thread_id: The thread to drive.
        heartbeat_s: Seconds between two signs of life.
        discard: Whether no trace of the lease stays afterwards, since the thread itself is gone by then.

    Raises:
        LockedError: Another live process drives the thread.
    """

    def __init__(
        self, database: Path, thread_id: str, *, heartbeat_s: float = HEARTBEAT_S, discard: bool = False
    ) -> None:
        self._database = database
        self._thread_id = thread_id
        self._heartbeat_s = heartbeat_s
        self.discard = discard
        """Whether no trace of it stays; may be decided while it is held."""
        self._host = ""
        self._lost = False
        self._leaving = asyncio.Event()
        self._beating: asyncio.Task[None] | None = None
        self.generation = 0
        """Rises with each holder; a writer with an older one is out of date."""

    async def __aenter__(self) -> Self:
        owner = asyncio.current_task()
        self._host = await asyncio.to_thread(host_id)
        await self._acquire()
        self._beating = asyncio.create_task(self._beat(owner), name=f"lease {self._thread_id}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving.set()
        if self._beating is not None:
            await self._beating
        if isinstance(error, sqlite3.IntegrityError) and FENCED in str(error):
            raise await self._taken() from error
        if self._lost and kind is asyncio.CancelledError:
            owner = asyncio.current_task()
            if owner is not None and owner.uncancel() == 0:
                raise await self._taken() from error
        if not self._lost:
            await self._release()

    async def _acquire(self) -> None:
        now = time.time()
        async with connect(self._database) as db:
            await db.execute(SCHEMA)
            await db.commit()
            # IMMEDIATE: two processes that start at once must not both read the row as free.
            await db.execute("BEGIN IMMEDIATE")
            held = await read_holder(db, self._thread_id)
            if held is not None and held.alive(here=self._host, now=now):
                await db.rollback()
                raise _locked(self._thread_id, held)
            self.generation = (held.generation if held else 0) + 1
            pid = os.getpid()
            await db.execute(
                "INSERT OR REPLACE INTO leases VALUES(?, ?, ?, ?, ?, ?, ?, 0)",
                (self._thread_id, pid, self._host, _started(pid) or 0.0, now, now, self.generation),
            )
            await db.commit()

    async def _beat(self, owner: asyncio.Task[object] | None) -> None:
        while not await self._leaves():
            try:
                held = await self._update("heartbeat = ?", time.time())
            except sqlite3.OperationalError:
                continue  # locked for 30 s: still within the time after which others may take over
            if not held and not self._leaving.is_set():
                self._lost = True
                if owner is not None:
                    owner.cancel("the lease was taken over")
                return

    async def _leaves(self) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._leaving.wait(), self._heartbeat_s)
        return self._leaving.is_set()

    async def _release(self) -> None:
        if not self.discard:
            await self._update("released = ?", 1)
            return
        async with connect(self._database) as db:
            await db.execute(
                "DELETE FROM leases WHERE thread_id = ? AND generation = ?", (self._thread_id, self.generation)
            )
            await db.commit()

    async def _update(self, assignment: str, value: float) -> bool:
        query = f"UPDATE leases SET {assignment} WHERE thread_id = ? AND generation = ?"  # noqa: S608 - two constants
        async with connect(self._database) as db:
            done = await db.execute(query, (value, self._thread_id, self.generation))
            await db.commit()
        return done.rowcount == 1

    async def _taken(self) -> LockedError:
        async with connect(self._database) as db:
            held = await read_holder(db, self._thread_id)
        return _locked(self._thread_id, held) if held else LockedError(f"the lease of {self._thread_id} is gone")


async def fence_writes(db: aiosqlite.Connection, thread_id: str, generation: int) -> None:
    """Let a connection write checkpoints of a thread only while the lease of this generation holds.

    A process that was stopped past its lease and wakes up cannot write beside the new driver: the triggers live in
    the connection, so no check comes too early and none costs a round trip. A refused write raises
    `sqlite3.IntegrityError` with `FENCED`.

    Args:
        db: The connection checkpoints are written on; its tables must be there.
        thread_id: The thread, a UUID.
        generation: Of the lease that is held.
    """
    await db.execute(SCHEMA)
    thread = str(thread_id).replace("'", "''")
    for table in ("checkpoints", "writes"):
        trigger = f"""
            CREATE TEMP TRIGGER fence_{table} BEFORE INSERT ON main.{table}
            WHEN NEW.thread_id = '{thread}' AND NOT EXISTS (
                SELECT 1 FROM main.leases WHERE thread_id = '{thread}' AND generation = {generation:d})
            BEGIN SELECT RAISE(ABORT, '{FENCED}'); END"""  # noqa: S608 - triggers take no parameters; quoted above
        await db.execute(trigger)
    await db.commit()


def supervisor_lease(thread_id: str) -> str:
    """The name under which a thread's supervisor holds its own lease, so that only one of them watches it."""
    return f"supervisor of {thread_id}"


async def live_holder(database: Path, thread_id: str) -> LeaseHolder | None:
    """Who drives the thread at present; `None` when nobody alive does."""
    async with connect(database) as db:
        await db.execute(SCHEMA)
        held = await read_holder(db, thread_id)
    if held is None:
        return None
    here = await asyncio.to_thread(host_id)
    return held if await asyncio.to_thread(held.alive, here=here, now=time.time()) else None


async def read_holder(db: aiosqlite.Connection, thread_id: str) -> LeaseHolder | None:
    """Read the row of a thread as it stands, alive or not."""
    query = """SELECT pid, host, process_started, since, heartbeat, generation, released
               FROM leases WHERE thread_id = ?"""
    async with db.execute(query, (thread_id,)) as rows:
        row = await rows.fetchone()
    return _holder(row) if row else None


def _holder(row: aiosqlite.Row) -> LeaseHolder:
    """The row as a holder; one that is damaged names nobody alive, and the fence keeps out whoever wrote it."""
    found = dict(row)
    numbers = {name: value for name, value in found.items() if name != "host"}
    if not all(isinstance(value, int | float) for value in numbers.values()):
        found = {"pid": 0, "process_started": 0.0, "since": 0.0, "heartbeat": 0.0, "released": True,
                 "generation": found["generation"] if isinstance(found["generation"], int) else 0}  # fmt: skip
    return LeaseHolder(**{**found, "host": str(row["host"]), "released": bool(found["released"])})


def host_id() -> str:
    """Name of this machine, with the space its pids belong to: two containers may share a name and a file."""
    try:
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return platform.node()
    return f"{platform.node()} {space}"


def _started(pid: int) -> float | None:
    """When a process started; `None` when it is gone or only waits to be reaped."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


def _locked(thread_id: str, held: LeaseHolder) -> LockedError:
    since = datetime.fromtimestamp(held.since, UTC).isoformat(timespec="seconds")
    return LockedError(
        f"thread {thread_id} is driven by process {held.pid} on {held.host.split(' ', maxsplit=1)[0]} since {since}",
        hint=f"steer it with `rolecall steer {thread_id} TEXT`, or stop it with `rolecall pause {thread_id}`",
    )
