"""The inbox: how guidance reaches a thread from any process. It only appends and reads; the cursor is graph state."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from core.redaction import Redactor
from core.storage.database import Database, Row, Transaction

if TYPE_CHECKING:
    from core.context import InboxItem

REQUEST = "request"
"""Kind of a row that a thread continues with once its original task has ended or is given up."""


class SqliteInbox:
    """The inbox of one thread in the database of the repository.

    Only one writer is admitted at a time, so ids become visible in ascending order and a cursor misses none.

    Args:
        database: Of the repository.
        thread_id: The thread whose rows `after` and `last_id` read. `put` may write to any thread.
        redactor: Cleans every message written and every message read: it may know more secrets by then.
    """

    def __init__(self, database: Database, thread_id: str, redactor: Redactor | None = None) -> None:
        self._redactor = redactor or Redactor()
        self._database = database
        self._thread_id = thread_id

    async def put(
        self, thread_id: str, *, kind: str, author: str, text: str, payload: Mapping[str, Any] | None = None
    ) -> int:
        """Append one row and return its id once it is durable.

        Raises:
            sqlite3.OperationalError: The file stayed locked for 30 s.
        """
        return await self._database.transaction(
            lambda unit: self.add(unit, thread_id, kind=kind, author=author, text=text, payload=payload)
        )

    def add(
        self, unit: Transaction, thread_id: str, *, kind: str, author: str, text: str,
        payload: Mapping[str, Any] | None = None,
    ) -> int:  # fmt: skip
        """`put` as a part of a transaction."""
        more = json.dumps(self._redactor.clean_tree(dict(payload or {})))
        rows = unit.execute(
            "INSERT INTO inbox(thread_id, kind, author, text, payload, created)"
            " VALUES(:thread, :kind, :author, :text, :payload, :created) RETURNING id",
            {"thread": thread_id, "kind": kind, "author": author, "text": self._redactor.clean(text), "payload": more,
             "created": time.time()},
        )  # fmt: skip
        return int(rows[0]["id"])

    async def after(self, cursor: int) -> "list[InboxItem]":
        """Rows of this thread with an id above the cursor, oldest first."""
        rows = await self._database.read(
            "SELECT * FROM inbox WHERE thread_id = :thread AND id > :cursor ORDER BY id",
            {"thread": self._thread_id, "cursor": cursor},
        )
        from core.context import InboxItem  # noqa: PLC0415 - whoever only puts needs none of what it imports

        found = [{**row, "payload": _payload(row)} for row in rows]
        return [InboxItem(**self._redactor.clean_tree(row)) for row in found]

    async def last_id(self) -> int:
        """Highest id of this thread, 0 when it has no rows."""
        query = "SELECT coalesce(max(id), 0) AS last FROM inbox WHERE thread_id = :thread"
        return int((await self._database.read(query, {"thread": self._thread_id}))[0]["last"])


def requests_in(items: "Sequence[InboxItem]") -> "tuple[InboxItem, ...]":
    """The rows that a thread continues with, oldest first."""
    return tuple(item for item in items if item.kind == REQUEST)


def _payload(row: Row) -> dict[str, Any]:
    """What came with a message; nothing if the row is damaged, because the text is what counts."""
    try:
        found = json.loads(row["payload"])
    except (ValueError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
