"""How long a thread has been running, over all its runs: wall time, including checks and tools, excluding pauses.

Owns the table `run_spans`: one row per run, extended while it runs, so that a killed run loses only what came after
its last model call.
"""

import time
from collections.abc import Iterable

from core.storage.database import Database, Row, Transaction

_BEGIN = "INSERT INTO run_spans(thread_id, began, ended) VALUES(:thread, :began, :now) RETURNING id"
_STRETCH = "UPDATE run_spans SET ended = :now WHERE id = :row RETURNING id"
_ALL = "SELECT began, ended FROM run_spans WHERE thread_id = :thread"


class WallClock:
    """The time of one thread; this run starts when it is created.

    Args:
        database: Of the repository.
        thread: Whose time it is.
        since: Seconds since the epoch; time before that does not count.
    """

    def __init__(self, database: Database, thread: str, *, since: float = 0.0) -> None:
        self.since = since
        self._database = database
        self._thread = thread
        self._began = time.time()
        self._row: int | None = None
        self.last_s = 0.0
        """The last result of `seconds`."""

    async def seconds(self) -> float:
        """Record that this run is still alive; returns the thread's wall time, counting overlapping runs once."""
        values = {"thread": self._thread, "began": self._began, "now": time.time(), "row": self._row}

        def live(unit: Transaction) -> tuple[list[Row], list[Row]]:
            noted = unit.execute(_BEGIN if self._row is None else _STRETCH, values)
            return noted, unit.execute(_ALL, {"thread": self._thread})

        noted, rows = await self._database.transaction(live)
        self._row = noted[0]["id"] if noted else self._row
        self.last_s = union_length((max(row["began"], self.since), row["ended"]) for row in rows)
        return self.last_s

    async def close(self) -> None:
        """Record the end of this run, if it called any model."""
        if self._row is not None:
            await self.seconds()


def union_length(spans: Iterable[tuple[float, float]]) -> float:
    """Total length covered by the spans."""
    covered, upto = 0.0, float("-inf")
    for began, ended in sorted(spans):
        # A clock that was set back makes a span of less than nothing.
        covered += max(0.0, ended - max(began, upto))
        upto = max(upto, ended)
    return covered
