"""Slots of an endpoint: no more calls in flight than `max_concurrency`, over all roles and processes of this user.

Owns the queue. First come, first served; the slots of a process that died are freed.
"""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import psutil

from core.storage.database import Database, Row, Transaction

_POLL_S = (0.02, 0.25)
_ANNOUNCE_EVERY_S = 5.0
_QUEUE = "INSERT INTO places(endpoint, holding, pid, born) VALUES(:endpoint, 0, :pid, :born) RETURNING ticket"
_LINE = "SELECT ticket, holding, pid, born FROM places WHERE endpoint = :endpoint ORDER BY ticket"
_HOLD = "UPDATE places SET holding = 1 WHERE ticket = :ticket"
_GONE = "DELETE FROM places WHERE ticket = :ticket"

OnWaiting = Callable[[float | None], None]
"""Called with the seconds waited so far; `None` when the wait starts."""


class Slots:
    """Hands out slots."""

    def __init__(self, state: Database) -> None:
        self._state = state
        self._pid = os.getpid()
        self._born = psutil.Process(self._pid).create_time()

    @asynccontextmanager
    async def place(self, endpoint: str, limit: int | None, *, waiting: OnWaiting) -> AsyncIterator[None]:
        """Hold a slot of the endpoint during a call.

        Args:
            endpoint: What is shared.
            limit: Calls allowed at one time; `None` means any number.
            waiting: Called when no slot is free immediately, then every few seconds.
        """
        if limit is None:
            yield
            return
        values = {"endpoint": endpoint, "pid": self._pid, "born": self._born}
        queued = asyncio.create_task(self._state.write(_QUEUE, values, durable=False))
        try:
            (row,) = await asyncio.shield(queued)
            await self._wait(endpoint, row["ticket"], limit, waiting)
            yield
        finally:
            # A call cancelled at any moment must not leave its ticket in the queue, where all others wait behind it.
            await asyncio.shield(self._leave(queued))

    async def _wait(self, endpoint: str, ticket: int, limit: int, waiting: OnWaiting) -> None:
        began = time.monotonic()
        announced: float | None = None
        pause, longest = _POLL_S
        while not await self._try(endpoint, ticket, limit):
            now = time.monotonic()
            if announced is None:
                waiting(None)
                announced = now
            elif now - announced >= _ANNOUNCE_EVERY_S:
                waiting(now - began)
                announced = now
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
            pause = min(pause * 1.5, longest)

    async def _try(self, endpoint: str, ticket: int, limit: int) -> bool:

        def tried(unit: Transaction) -> bool:
            rows = [row for row in unit.execute(_LINE, {"endpoint": endpoint}) if self._alive(unit, row)]
            held = sum(row["holding"] for row in rows)
            ahead = sum(not row["holding"] and row["ticket"] < ticket for row in rows)
            if held + ahead >= limit:
                return False
            unit.execute(_HOLD, {"ticket": ticket})
            return True

        return await self._state.transaction(tried, durable=False)

    def _alive(self, unit: Transaction, row: Row) -> bool:
        if row["pid"] == self._pid and row["born"] == self._born:
            return True
        if is_running(row["pid"], row["born"]):
            return True
        unit.execute(_GONE, {"ticket": row["ticket"]})
        return False

    async def _leave(self, queued: asyncio.Task[list[Row]]) -> None:
        (row,) = await queued
        await self._state.write(_GONE, row, durable=False)


def is_running(pid: int, born: float) -> bool:
    """Whether that very process is still running: its pid may have been reused since."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - born) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
