"""The lease: at most one process runs a thread. It only guards the thread; it does not run it."""

import asyncio
import os
import platform
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import psutil

from core.errors import LockedError
from core.storage.database import Database, Row, Transaction

if TYPE_CHECKING:
    import aiosqlite

FENCED = "the lease of this thread was taken over"
"""What the database answers to an outdated writer."""
HEARTBEAT_S = 10.0
STALE_S = 60.0
_HELD = """SELECT pid, host, process_started, since, heartbeat, generation, released
           FROM leases WHERE thread_id = :thread"""
_TAKE = """INSERT INTO leases(thread_id, pid, host, process_started, since, heartbeat, generation, released)
           VALUES(:thread, :pid, :host, :started, :now, :now, :generation, 0)
           ON CONFLICT(thread_id) DO UPDATE SET pid = excluded.pid, host = excluded.host,
               process_started = excluded.process_started, since = excluded.since, heartbeat = excluded.heartbeat,
               generation = excluded.generation, released = 0"""
_MINE = "WHERE thread_id = :thread AND generation = :generation"
_DROP = f"DELETE FROM leases {_MINE}"  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True)
class LeaseHolder:
    """The process that runs a thread."""

    pid: int
    host: str
    process_started: float
    """Tells a process from a later one with the same pid; seconds since the epoch."""
    since: float
    heartbeat: float
    generation: int
    released: bool

    def alive(self, *, here: str, now: float) -> bool:
        """Whether the thread is still running: by the process itself on this host, elsewhere by its heartbeat."""
        if self.released:
            return False
        if self.host != here:
            return now - self.heartbeat <= STALE_S
        return _started(self.pid) == self.process_started


class Lease:
    """Hold a thread for as long as the block runs.

    When another process takes over the thread (this one was suspended past its heartbeat), the block is cancelled
    and leaves with `LockedError`, so that two processes never write at the same time.

    Args:
        database: Of the repository.
        thread_id: The thread to hold.
        heartbeat_s: Seconds between two signs of life.
        discard: Whether no trace of the lease remains afterwards, because the thread itself is gone by then.

    Raises:
        LockedError: Another live process is running the thread.
    """

    def __init__(
        self, database: Database, thread_id: str, *, heartbeat_s: float = HEARTBEAT_S, discard: bool = False
    ) -> None:
        self._database = database
        self._thread_id = thread_id
        self._heartbeat_s = heartbeat_s
        self.discard = discard
        """Whether no trace of it remains; may be decided while it is held."""
        self._host = ""
        self._lost = False
        self._leaving = asyncio.Event()
        self._beating: asyncio.Task[None] | None = None
        self.generation = 0
        """Increases with each holder; a writer with an older one is outdated."""

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
        now, pid = time.time(), os.getpid()
        row = {
            "thread": self._thread_id,
            "pid": pid,
            "host": self._host,
            "started": _started(pid) or 0.0,
            "now": now,
        }

        def take(unit: Transaction) -> int:
            held = _held(unit.execute(_HELD, {"thread": self._thread_id}))
            if held is not None and held.alive(here=self._host, now=now):
                raise _locked(self._thread_id, held)
            generation = (held.generation if held else 0) + 1
            unit.execute(_TAKE, {**row, "generation": generation})
            return generation

        self.generation = await self._database.transaction(take)

    async def _beat(self, owner: asyncio.Task[object] | None) -> None:
        while not await self._leaves():
            try:
                held = await self._update("heartbeat = :value", time.time())
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
            await self._update("released = :value", 1)
            return
        await self._database.write(_DROP, self._mine())

    async def _update(self, assignment: str, value: float) -> bool:
        query = f"UPDATE leases SET {assignment} {_MINE} RETURNING generation"  # noqa: S608 - two constants
        return bool(await self._database.write(query, {**self._mine(), "value": value}))

    def _mine(self) -> dict[str, Any]:
        return {"thread": self._thread_id, "generation": self.generation}

    async def _taken(self) -> LockedError:
        held = await read_holder(self._database, self._thread_id)
        return _locked(self._thread_id, held) if held else LockedError(f"the lease of {self._thread_id} is gone")


async def fence_writes(db: "aiosqlite.Connection", thread_id: str, generation: int) -> None:
    """Let a connection write a thread's checkpoints only while the lease of this generation is held.

    A process that was stopped past its lease and wakes up cannot write alongside the new holder: the triggers are in
    the connection, so no check comes too early and none costs a round trip. A refused write raises
    `sqlite3.IntegrityError` with `FENCED`.

    Args:
        db: The connection checkpoints are written on; its tables must exist.
        thread_id: The thread, a UUID.
        generation: Of the lease that is held.
    """
    for trigger in _fences(("checkpoints", "writes"), thread_id, generation):
        await db.execute(trigger)
    await db.commit()


async def fence_records(database: Database, thread_id: str, generation: int) -> None:
    """The same for what a run records of a thread, on the connection that a handle keeps: calls, spans, its time.

    A call that was under way when the lease was taken over is not counted; a deleted thread gets no rows again.
    """
    for trigger in _fences(("calls", "spans"), thread_id, generation, column="thread"):
        await database.write(trigger)
    for trigger in _fences(("run_spans", "started_calls"), thread_id, generation):
        await database.write(trigger)


def _fences(tables: Sequence[str], thread_id: str, generation: int, *, column: str = "thread_id") -> Iterator[str]:
    thread = thread_id.replace("'", "''")
    for table in tables:
        yield f"""
            CREATE TEMP TRIGGER fence_{table} BEFORE INSERT ON main.{table}
            WHEN NEW.{column} = '{thread}' AND NOT EXISTS (
                SELECT 1 FROM main.leases WHERE thread_id = '{thread}' AND generation = {generation:d})
            BEGIN SELECT RAISE(ABORT, '{FENCED}'); END"""  # noqa: S608 - triggers take no parameters; quoted above


def supervisor_lease(thread_id: str) -> str:
    """The name under which a thread's supervisor holds its own lease, so that only one of them supervises it."""
    return f"supervisor of {thread_id}"


async def live_holder(database: Database, thread_id: str) -> LeaseHolder | None:
    """The process that is running the thread; `None` when no live one is."""
    held = await read_holder(database, thread_id)
    if held is None:
        return None
    here = await asyncio.to_thread(host_id)
    return held if await asyncio.to_thread(held.alive, here=here, now=time.time()) else None


async def read_holder(database: Database, thread_id: str) -> LeaseHolder | None:
    """Read the row of a thread as it is, alive or not."""
    return _held(await database.read(_HELD, {"thread": thread_id}))


def _held(rows: Sequence[Row]) -> LeaseHolder | None:
    """The row as a holder; a damaged one names no live process, and the fence keeps out whatever wrote it."""
    if not rows:
        return None
    found = {**rows[0], "host": str(rows[0]["host"])}
    numbers = [value for name, value in found.items() if name != "host"]
    if not all(isinstance(value, int | float) for value in numbers):
        nobody = {"pid": 0, "process_started": 0.0, "since": 0.0, "heartbeat": 0.0, "released": True}
        found |= nobody | {"generation": found["generation"] if isinstance(found["generation"], int) else 0}
    return LeaseHolder(**{**found, "released": bool(found["released"])})


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
        f"thread {thread_id} has been running in process {held.pid} on {held.host.split(' ', maxsplit=1)[0]} "
        f"since {since}",
        hint=f"steer it with `rolecall steer {thread_id} TEXT`, or stop it with `rolecall pause {thread_id}`",
    )
