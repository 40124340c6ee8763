"""Prompts of past calls, stored only if the user asked for it, so that other models can be tried on the same work.

Owns the table `call_prompts` in the repository's own database, and its size. Keys are masked before anything is
written; nothing is ever sent anywhere.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import BaseMessage, messages_from_dict, messages_to_dict

from core.config.settings import TelemetrySettings
from core.redaction import Redactor, map_texts, redact
from core.storage.database import Database, Transaction

_ADD = """INSERT INTO call_prompts(made, trace_id, role, artifact, messages, tools, bytes)
          VALUES(:made, :trace, :role, :artifact, :messages, :tools, :bytes)"""
_MAKE_ROOM = """DELETE FROM call_prompts WHERE id IN (SELECT id FROM (
                SELECT id, sum(bytes) OVER (ORDER BY id DESC) AS total FROM call_prompts) AS sums
                WHERE total > :limit)"""


@dataclass(frozen=True, slots=True)
class LoggedPrompt:
    """A question a role was asked."""

    role: str
    messages: tuple[BaseMessage, ...]
    artifact: str = ""
    """Name of the requested object; empty for text and tool calls."""
    tools: tuple[Mapping[str, Any], ...] = ()
    """In the OpenAI form."""


class PromptLog:
    """Stores and returns prompts.

    Args:
        database: Of the repository.
        settings: Whether and how much.
        redactor: Cleans everything that is stored.
    """

    def __init__(self, database: Database, settings: TelemetrySettings, *, redactor: Redactor | None = None) -> None:
        self._database = database
        self._on = settings.record_prompts
        self._limit = int(settings.prompts_mb * 1_000_000)
        self._redactor = redactor or Redactor()

    async def keep(self, prompt: LoggedPrompt, trace_id: str = "") -> None:
        """Store a prompt if the user wants that; the oldest ones are removed to make room."""
        if not self._on:
            return
        clean = self._redactor.clean_tree(messages_to_dict(prompt.messages))
        messages = json.dumps(map_texts(clean, redact), default=str)
        tools = json.dumps(self._redactor.clean_tree(list(prompt.tools)), default=str)
        size = len(messages.encode()) + len(tools.encode())
        row = {
            "made": time.time(), "trace": trace_id, "role": prompt.role, "artifact": prompt.artifact,
            "messages": messages, "tools": tools, "bytes": size,
        }  # fmt: skip

        def add(unit: Transaction) -> None:
            unit.execute(_ADD, row)
            unit.execute(_MAKE_ROOM, {"limit": self._limit})

        await self._database.transaction(add)

    async def recent(self, role: str, *, limit: int = 10) -> Sequence[LoggedPrompt]:
        """The last prompts of a role, oldest first; none when nothing was stored."""
        rows = await self._database.read(
            "SELECT * FROM call_prompts WHERE role = :role ORDER BY id DESC LIMIT :limit",
            {"role": role, "limit": limit},
        )
        return [
            LoggedPrompt(
                role, tuple(messages_from_dict(json.loads(row["messages"]))), row["artifact"],
                tuple(json.loads(row["tools"])),
            )
            for row in reversed(rows)
        ]  # fmt: skip
