"""Keeps conversations by response id, so that any server's answer can be continued as the Responses API promises.

Owns the table `responses`: each row holds only what one call added, and names the row before it. Most local servers
keep no state of their own, and the next call may be served by another one.
"""

import json
from collections.abc import Sequence
from uuid import uuid4

from langchain_core.messages import BaseMessage, messages_from_dict, messages_to_dict

from core.errors import UsageError
from core.redaction import Redactor
from core.storage.database import Database

START = ""
"""The id before the first response: starts a stored conversation."""
_KEEP = """
INSERT INTO responses(id, previous, thread, messages) VALUES(:id, :previous, :thread, :messages)
ON CONFLICT DO NOTHING RETURNING id
"""
_HISTORY = """
WITH RECURSIVE line(id, previous, messages, depth) AS (
    SELECT id, previous, messages, 0 FROM responses WHERE id = :response
    UNION ALL SELECT r.id, r.previous, r.messages, depth + 1 FROM responses r JOIN line ON r.id = line.previous)
SELECT messages FROM line ORDER BY depth DESC
"""


class Conversations:
    """The kept conversations of a repository.

    Args:
        database: Of the repository.
        thread: The thread whose calls are kept.
        redactor: Cleans all that is kept.
    """

    def __init__(self, database: Database, thread: str, redactor: Redactor | None = None) -> None:
        self._redactor = redactor or Redactor()
        self._database = database
        self._thread = thread

    async def history(self, response_id: str) -> list[BaseMessage]:
        """All messages up to a response, the response included; none for `START`.

        Raises:
            UsageError: The response was not kept.
        """
        if response_id == START:
            return []
        rows = await self._database.read(_HISTORY, {"response": response_id})
        if not rows:
            raise UsageError(f"there is no kept response {response_id!r} to continue")
        return [message for row in rows for message in messages_from_dict(json.loads(row["messages"]))]

    async def keep(self, previous: str, added: Sequence[BaseMessage], response_id: str) -> str:
        """Keep what a call added; returns the id it can be continued by, a new one where the server gave none."""
        own = f"resp_{uuid4().hex}"
        row = {"id": response_id or own, "previous": previous, "thread": self._thread,
               "messages": json.dumps(self._redactor.clean_tree(messages_to_dict(added)))}  # fmt: skip
        # Servers count their responses anew after each start.
        if not await self._database.write(_KEEP, row):
            await self._database.write(_KEEP, row | {"id": own})
            return own
        return str(row["id"])
