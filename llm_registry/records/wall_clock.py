"""How long a thread has been worked on, over all its runs: wall time, including checks and tools, excluding pauses.

Owns the table `run_spans`: one row per run, stretched while it lives, so that a killed run loses only what came after
its last model call.
"""

import time
from collections.abc import Iterable
from pathlib import Path

from core.storage.database import connect, create_tables

_SCHEMA = """
CREATE TABLE IF NOT EXISTS run_spans(
    id INTEGER PRIMARY KEY AUTOINCREMENT, thread_id TEXT NOT NULL, began REAL NOT NULL, ended REAL NOT NULL);
CREATE INDEX IF NOT EXISTS run_spans_by_thread ON run_spans(thread_id);
"""


class WallClock:
    """The time of one thread; this run begins when it is made.

    Args:
        database: The file; its folder must exist.
        thread: Whose time it is.
    """

    def __init__(self, database: Path, thread: str) -> None:
        self._database = database
        self._thread = thread
        self._began = time.time()
        self._row: int | None = None
        self.last_s = 0.0
        """What `seconds` said last."""

    async def seconds(self) -> float:
        """Note that this run still lives; returns the wall time of the thread, moments of two runs counted once."""
        async with connect(self._database) as db:
            if self._row is None:
                await create_tables(db, _SCHEMA)
                cursor = await db.execute(
                    "INSERT INTO run_spans(thread_id, began, ended) VALUES(?, ?, ?)",
                    (self._thread, self._began, time.time()),
                )
                self._row = cursor.lastrowid
            else:
                await db.execute("UPDATE run_spans SET ended = ? WHERE id = ?", (time.time(), self._row))
            await db.commit()
            cursor = await db.execute("SELECT began, ended FROM run_spans WHERE thread_id = ?", (self._thread,))
            self.last_s = union_length((row["began"], row["ended"]) for row in await cursor.fetchall())
            return self.last_s

    async def close(self) -> None:
        """Note the end of this run, if it called any model."""
        if self._row is not None:
            await self.seconds()


def union_length(spans: Iterable[tuple[float, float]]) -> float:
    """Length of what the spans cover together."""
    covered, upto = 0.0, float("-inf")
    for began, ended in sorted(spans):
        # A clock that was set back makes a span of less than nothing.
        covered += max(0.0, ended - max(began, upto))
        upto = max(upto, ended)
    return covered
