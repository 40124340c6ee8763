"""The log of interventions, each with its reason, its cost and, later, what came of it. It takes no decision."""

import json
import time
from dataclasses import dataclass
from typing import Any

from core.storage.database import Database, Row, Transaction
from graph.supervisor.escalation import PastIntervention

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
        database: Of the repository.
        thread_id: The thread.
    """

    def __init__(self, database: Database, thread_id: str) -> None:
        self._database = database
        self._thread_id = thread_id

    async def add(self, entry: NewIntervention) -> int:
        """Write one down and return its id."""
        values = {name: getattr(entry, name) for name in FIELDS.split(", ")}
        rows = await self._database.write(
            f"INSERT INTO interventions(thread_id, created, cost, {FIELDS})"
            f" VALUES(:thread, :created, :cost, {', '.join(f':{name}' for name in values)}) RETURNING id",
            {**values, "thread": self._thread_id, "created": time.time(), "cost": json.dumps(entry.cost or {})},
        )
        return int(rows[0]["id"])

    async def settle(self, outcomes: dict[int, str]) -> None:
        """Write down what came of interventions."""

        def settled(unit: Transaction) -> None:
            for ident, outcome in outcomes.items():
                query = "UPDATE interventions SET outcome = :outcome WHERE id = :id"
                unit.execute(query, {"outcome": outcome, "id": ident})

        if outcomes:
            await self._database.transaction(settled)

    async def all(self) -> tuple[Intervention, ...]:
        """Everything, oldest first."""
        query = "SELECT * FROM interventions WHERE thread_id = :thread ORDER BY id"
        return tuple(map(_recorded, await self._database.read(query, {"thread": self._thread_id})))


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


def _recorded(row: Row) -> Intervention:
    named = {name: row[name] for name in FIELDS.split(", ")}
    entry = NewIntervention(**{**named, "applied": bool(row["applied"])}, cost=json.loads(row["cost"]))
    return Intervention(id=row["id"], created=row["created"], entry=entry, outcome=row["outcome"])
