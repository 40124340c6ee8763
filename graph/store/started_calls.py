"""Started tool calls that must not simply be repeated: after a kill, a call found here is not made again."""

import time

from core.storage.database import Database


class SqliteStartedCalls:
    """Implements `nodes.model_calls.toolset.StartedCalls` in the database of a repository.

    Args:
        database: Of the repository.
        thread_id: Whose calls they are.
    """

    def __init__(self, database: Database, thread_id: str) -> None:
        self._database, self._thread_id = database, thread_id

    async def begin(self, call: str, tool: str) -> bool:
        """Record a call; false when it was already recorded."""
        added = await self._database.write(
            "INSERT INTO started_calls VALUES(:thread, :call, :tool, :now) ON CONFLICT DO NOTHING RETURNING call",
            {"thread": self._thread_id, "call": call, "tool": tool, "now": time.time()},
        )
        return bool(added)

    async def forget(self, call: str) -> None:
        """Remove a call from the record."""
        values = {"thread": self._thread_id, "call": call}
        await self._database.write("DELETE FROM started_calls WHERE thread_id = :thread AND call = :call", values)
