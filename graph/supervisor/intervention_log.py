"""The log of interventions, each with its reason, its cost and, later, its outcome. It makes no decisions."""

import json
from collections.abc import Mapping
from dataclasses import replace

from core.storage.database import Database, Row, Transaction
from graph.supervisor.escalation import Intervention

FIELDS = "rule, reason, action, text, applied, inbox_id, step, work, failing"


class InterventionLog:
    """The interventions of one thread.

    Args:
        database: Of the repository.
        thread_id: The thread.
    """

    def __init__(self, database: Database, thread_id: str) -> None:
        self._database = database
        self._thread_id = thread_id

    async def add(self, entry: Intervention) -> Intervention:
        """Write one down and return it with its id."""
        values = {name: getattr(entry, name) for name in FIELDS.split(", ")}
        rows = await self._database.write(
            f"INSERT INTO interventions(thread_id, created, cost, {FIELDS})"
            f" VALUES(:thread, :created, :cost, {', '.join(f':{name}' for name in values)}) RETURNING id",
            {**values, "thread": self._thread_id, "created": entry.created, "cost": json.dumps(entry.cost)},
        )
        return replace(entry, id=int(rows[0]["id"]))

    async def settle(self, outcomes: Mapping[int, str]) -> None:
        """Record the outcome of interventions."""

        def settled(unit: Transaction) -> None:
            for ident, outcome in outcomes.items():
                query = "UPDATE interventions SET outcome = :outcome WHERE id = :id"
                unit.execute(query, {"outcome": outcome, "id": ident})

        await self._database.transaction(settled)

    async def all(self) -> tuple[Intervention, ...]:
        """Everything, oldest first."""
        query = "SELECT * FROM interventions WHERE thread_id = :thread ORDER BY id"
        return tuple(map(_recorded, await self._database.read(query, {"thread": self._thread_id})))


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
    named = {name: row[name] for name in (*FIELDS.split(", "), "id", "created", "outcome")}
    return Intervention(**{**named, "applied": bool(row["applied"]), "cost": json.loads(row["cost"])})
