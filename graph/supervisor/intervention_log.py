"""The log of interventions, each with its reason, its cost and, later, what came of it. It takes no decision."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiosqlite

from core.storage.database import connect, create_tables
from graph.supervisor.escalation import PastIntervention

SCHEMA = """
CREATE TABLE IF NOT EXISTS interventions(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    thread_id TEXT NOT NULL,
    created REAL NOT NULL,
    rule TEXT NOT NULL,
    reason TEXT NOT NULL,
    action TEXT NOT NULL,
    text TEXT NOT NULL,
    applied INTEGER NOT NULL,
    inbox_id INTEGER,
    step TEXT NOT NULL,
    work INTEGER NOT NULL,
    failing INTEGER,
    cost TEXT NOT NULL,
    outcome TEXT
);
CREATE INDEX IF NOT EXISTS interventions_by_thread ON interventions(thread_id, id);
"""
FIELDS = "rule, reason, action, text, applied, inbox_id, step, work, failing"


@dataclass(frozen=True, slots=True)
class NewIntervention:
    """An intervention as it is made."""

    rule: str
    reason: str
    action: str
    text: str
    applied: bool
    step: str
    work: int
    inbox_id: int | None = None
    failing: int | None = None
    """Failing tests at that time; `None` when no checks have run."""
    cost: dict[str, Any] | None = None
    """Of the judging call: spec, tokens, seconds, cost_usd; empty where no model was asked."""


@dataclass(frozen=True, slots=True)
class Intervention:
    """An intervention as it stands in the log."""

    id: int
    created: float
    entry: NewIntervention
    outcome: str | None
    """`green`, `unchanged` (green before too), `better`, `same`, `worse`, `no check followed`, or `refused: …`;
    `None` while it is open."""


class InterventionLog:
    """The interventions of one thread.

    Args:
        database: The file; its folder must exist.
        thread_id: The thread.
    """

    def __init__(self, database: Path, thread_id: str) -> None:
        self._database = database
        self._thread_id = thread_id

    async def add(self, entry: NewIntervention) -> int:
        """Write one down and return its id."""
        values = (
            entry.rule, entry.reason, entry.action, entry.text, entry.applied,
            entry.inbox_id, entry.step, entry.work, entry.failing,
        )  # fmt: skip
        query = f"INSERT INTO interventions(thread_id, created, cost, {FIELDS}) VALUES({', '.join('?' * 12)})"
        async with connect(self._database) as db:
            await create_tables(db, SCHEMA)
            done = await db.execute(query, (self._thread_id, time.time(), json.dumps(entry.cost or {}), *values))
            await db.commit()
        assert done.lastrowid is not None
        return done.lastrowid

    async def settle(self, outcomes: dict[int, str]) -> None:
        """Write down what came of interventions."""
        async with connect(self._database) as db:
            rows = [(outcome, ident) for ident, outcome in outcomes.items()]
            await db.executemany("UPDATE interventions SET outcome = ? WHERE id = ?", rows)
            await db.commit()

    async def all(self) -> tuple[Intervention, ...]:
        """Everything, oldest first."""
        query = "SELECT * FROM interventions WHERE thread_id = ? ORDER BY id"
        async with connect(self._database) as db:
            await create_tables(db, SCHEMA)
            async with db.execute(query, (self._thread_id,)) as rows:
                return tuple([_recorded(row) async for row in rows])


def past_interventions(recorded: tuple[Intervention, ...]) -> tuple[PastIntervention, ...]:
    """What is decided by of earlier interventions."""
    return tuple(
        PastIntervention(
            rule=item.entry.rule,
            action=item.entry.action,  # type: ignore[arg-type]  # written from an Action
            applied=item.entry.applied,
            step=item.entry.step,
            work=item.entry.work,
            at=item.created,
            text=item.entry.text,
        )
        for item in recorded
    )


def intervention_verdict(before: int | None, after: int) -> str:
    """What the next checks say about an intervention.

    Args:
        before: Failing tests when it was made; `None` when unknown.
        after: Failing tests now.
    """
    if after == before == 0:
        return "unchanged"
    if after == 0:
        return "green"
    if before is None or after == before:
        return "same"
    return "better" if after < before else "worse"


def _recorded(row: aiosqlite.Row) -> Intervention:
    named = {name: row[name] for name in FIELDS.split(", ")}
    entry = NewIntervention(**{**named, "applied": bool(row["applied"])}, cost=json.loads(row["cost"]))
    return Intervention(id=row["id"], created=row["created"], entry=entry, outcome=row["outcome"])
