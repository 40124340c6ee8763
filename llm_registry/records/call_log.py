"""The log of model calls: one row per call in the table `calls`, and what can be read back from it.

Owns the table and its sums. Decides nothing about budgets, and contains no prompt, no answer and no secret: an unknown
number is NULL, never 0.
"""

import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from statistics import median
from typing import Any

from core.artifacts import RoleUsage, SpecUsage
from core.config.settings import Cost
from core.redaction import Redactor, redact
from core.storage.database import Database, Row
from llm_registry.failures.errors import UNSERVED
from llm_registry.records.tracing import OK, new_span_id

_DETAIL_CHARS = 500
_REFUSALS = ", ".join(f"'{kind}'" for kind in sorted(UNSERVED))
_BY_SPEC = f"""
SELECT role, spec, max(id) newest, count(*) calls, count(*) FILTER (WHERE outcome != 'ok') failed,
    sum(input_tokens) input_tokens, sum(output_tokens) output_tokens,
    sum(reasoning_tokens) reasoning_tokens, coalesce(sum(estimated_tokens), 0) estimated_tokens,
    sum(total_s) seconds, sum(cost_usd) cost_usd,
    count(*) FILTER (WHERE outcome = 'ok' AND cost_usd IS NULL) unpriced_calls,
    count(*) FILTER (WHERE outcome IN ({_REFUSALS})) refused
FROM calls WHERE thread = :thread AND id > :seen GROUP BY role, spec ORDER BY min(id)
"""  # noqa: S608 - our own words
_TOTALS = f"""
SELECT max(id) newest, count(*) FILTER (WHERE outcome NOT IN ({_REFUSALS})) calls,
    coalesce(sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0) + coalesce(estimated_tokens, 0)), 0) tokens,
    coalesce(sum(estimated_tokens), 0) estimated_tokens, count(estimated_tokens) unmetered_calls,
    coalesce(sum(coalesce(cost_usd, estimated_cost_usd)), 0.0) cost_usd,
    count(*) FILTER (WHERE outcome = 'ok' AND coalesce(cost_usd, estimated_cost_usd) IS NULL) unpriced_calls,
    coalesce(sum(output_tokens), 0) written, count(output_tokens) answers
FROM calls WHERE thread = :thread AND started >= :since AND id > :seen
"""  # noqa: S608 - our own words


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRow:
    """One call to one spec. `None` means that the server did not say."""

    role: str
    spec: str
    provider: str
    outcome: str
    """`ok`, or the kind of error: `refused`, `overloaded`, `context`, `auth`, `quota`, `bad_output`, `hang`…"""
    total_s: float
    thread: str = ""
    node: str = ""
    purpose: str = ""
    model: str = ""
    trace_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Of the run."""
    span_id: str = field(default_factory=new_span_id)
    parent_id: str = ""
    """The span of the node that made the call, otherwise that of the run."""
    started: float | None = None
    """Seconds since the epoch; when left out, the call is assumed to have ended just now."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    counted_tokens: int | None = None
    """Our own estimate of the prompt, to compare with what the server read."""
    first_token_s: float | None = None
    retries: int = 0
    breaker: str = "closed"
    detail: str = ""
    """The error message, redacted and shortened when stored."""
    cost_usd: float | None = None
    estimated_tokens: int | None = None
    """Our estimate of the tokens that the server did not report; `None` when it reported all."""
    estimated_cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class ThreadTotals:
    """What a thread has spent so far, over all roles and runs, estimates included."""

    calls: int = 0
    """Without those that a server refused before it did any work."""
    tokens: int = 0
    estimated_tokens: int = 0
    """How many of them the servers did not report."""
    unmetered_calls: int = 0
    """Calls whose tokens the server did not report, or not all of them."""
    cost_usd: float = 0.0
    unpriced_calls: int = 0
    """Answered calls whose price is unknown."""
    usual_answer: int = 0
    """Mean length of an answer in tokens."""


@dataclass(frozen=True, slots=True)
class SpecStatistics:
    """How one spec has served one role, over all threads in this database."""

    role: str
    spec: str
    calls: int
    failures: dict[str, int]
    """Count by kind of error."""
    first_token_s: float | None
    """Median, in seconds."""
    total_s: float | None
    """Median of the answered calls, in seconds."""
    tokens_per_s: float | None
    """Tokens written per second after the first one."""
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    """Known part of the cost; `None` when no call had a price."""
    unpriced_calls: int


class CallLog:
    """Reads and writes the table `calls`. Safe to use from many processes at once.

    Args:
        database: Of the repository.
        secrets: Configured keys, short ones too, masked in failure messages.
        redactor: Cleans every text that is stored.
        watch: Called with every stored row.
    """

    def __init__(
        self, database: Database, *, secrets: Iterable[str] = (), redactor: Redactor | None = None,
        watch: Callable[[CallRow], None] | None = None,
    ) -> None:  # fmt: skip
        self._redactor = redactor or Redactor()
        self._database = database
        self._secrets = tuple(secrets)
        self._watch = watch
        self._sums: dict[tuple[Any, ...], _Sums] = {}

    async def record(self, row: CallRow) -> None:
        """Store one call."""
        started = time.time() - row.total_s if row.started is None else row.started
        hide = self._redactor.clean
        detail = redact(hide(row.detail), self._secrets)[:_DETAIL_CHARS]
        clean = replace(row, started=started, spec=hide(row.spec), model=hide(row.model), detail=detail)
        names = [one.name for one in fields(CallRow)]
        # Column names are our own field names; only values come from outside.
        columns, places = ", ".join(names), ", ".join(f":{name}" for name in names)
        statement = f"INSERT INTO calls({columns}) VALUES({places})"
        # Waiting for the disk at each call is not worth what a power cut may take.
        await self._database.write(statement, asdict(clean), durable=False)
        if self._watch is not None:
            self._watch(clean)

    async def usage(self, thread: str) -> dict[str, RoleUsage]:
        """What each role used in a thread; sums contain the known part, `None` if nothing is known."""
        by_role: dict[str, Row] = {}
        by_spec: dict[str, dict[str, SpecUsage]] = {}
        for (role, spec), row in (await self._summed(_BY_SPEC, ("role", "spec"), thread=thread)).items():
            by_role[role] = _added(by_role.get(role, {}), _without(row, "failed"))
            shown = _without(row, "reasoning_tokens", "estimated_tokens", "unpriced_calls", "refused")
            by_spec.setdefault(role, {})[spec] = SpecUsage(**shown)
        return {role: _usage(row, by_spec[role]) for role, row in by_role.items()}

    async def totals(self, thread: str, *, since: float = 0.0) -> ThreadTotals:
        """What the thread has spent since a moment, in seconds since the epoch, for comparing with its limits."""
        row = (await self._summed(_TOTALS, (), thread=thread, since=since))[()]
        usual = int(row["written"] / row["answers"]) if row["answers"] else 0
        return ThreadTotals(**_without(row, "written", "answers"), usual_answer=usual)

    async def _summed(self, query: str, keys: Sequence[str], **values: Any) -> dict[tuple[Any, ...], Row]:
        """The sums of a query by its keys; only rows that came since the last time are read, since rows never change.

        Reading all of them before and after each call would make a call slower the longer its thread runs.
        """
        place = (query, *values.values())
        while True:
            known = self._sums.get(place, _Sums())
            fresh = await self._database.read(query, {**values, "seen": known.newest})
            if self._sums.get(place, _Sums()).newest == known.newest:  # else another task has added them
                break
        groups = dict(known.groups)
        for row in fresh:
            key = tuple(row[name] for name in keys)
            groups[key] = _added(groups.get(key, {}), _without(row, "newest", *keys))
        newest = max((row["newest"] or 0 for row in fresh), default=0)
        self._sums[place] = _Sums(max(newest, known.newest), groups)
        return groups

    async def figures(self, role: str | None = None) -> tuple[SpecStatistics, ...]:
        """How each spec has served each role (or one role), those most used first."""
        rows = await self._database.read(
            "SELECT role, spec, outcome, input_tokens, output_tokens, first_token_s, total_s, cost_usd FROM calls"
            " WHERE role = coalesce(:role, role) ORDER BY id",
            {"role": role},
        )
        groups: dict[tuple[str, str], list[Row]] = {}
        for row in rows:
            groups.setdefault((row["role"], row["spec"]), []).append(row)
        found = [_figures(*key, group) for key, group in groups.items()]
        return tuple(sorted(found, key=lambda one: (one.role, -one.calls)))


def cost_of(cost: Cost | None, input_tokens: int | None, output_tokens: int | None) -> float | None:
    """Price of a call in US dollars; `None` when price or tokens are unknown."""
    if cost is None or input_tokens is None or output_tokens is None:
        return None
    return (cost.input * input_tokens + cost.output * output_tokens) / 1_000_000


def _figures(role: str, spec: str, rows: Sequence[Row]) -> SpecStatistics:
    good = [row for row in rows if row["outcome"] == OK]
    failures: dict[str, int] = {}
    for row in rows:
        if row["outcome"] != OK:
            failures[row["outcome"]] = failures.get(row["outcome"], 0) + 1
    return SpecStatistics(
        role=role,
        spec=spec,
        calls=len(rows),
        failures=failures,
        first_token_s=known_median(row["first_token_s"] for row in good),
        total_s=known_median(row["total_s"] for row in good),
        tokens_per_s=_speed(good),
        input_tokens=known_sum(row["input_tokens"] for row in rows),
        output_tokens=known_sum(row["output_tokens"] for row in rows),
        cost_usd=known_sum(row["cost_usd"] for row in rows),
        unpriced_calls=sum(row["cost_usd"] is None for row in good),
    )


def _speed(rows: Sequence[Row]) -> float | None:
    timed = [row for row in rows if row["output_tokens"] and row["first_token_s"] is not None]
    seconds = sum(row["total_s"] - row["first_token_s"] for row in timed)
    # The first token is paid for by reading the prompt, so it does not count as written in that time.
    tokens = sum(max(row["output_tokens"] - 1, 0) for row in timed)
    return tokens / seconds if seconds > 0 and tokens else None


def known_median(values: Iterable[float | None]) -> float | None:
    """The median of what is known; `None` when nothing is."""
    known = [value for value in values if value is not None]
    return median(known) if known else None


def known_sum(values: Iterable[Any]) -> Any:  # int or float as the column is
    """The sum of what is known; `None` when nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


@dataclass(frozen=True, slots=True)
class _Sums:
    """What was summed so far."""

    newest: int = 0
    """Id of the last row in it."""
    groups: dict[tuple[Any, ...], Row] = field(default_factory=dict)


def _added(one: Row, other: Row) -> Row:
    """Two rows of sums as one; unknown and a number are the number."""
    return {name: known_sum((one.get(name), value)) for name, value in other.items()}


def _usage(row: Row, by_spec: dict[str, SpecUsage]) -> RoleUsage:
    specs = tuple(spec for spec, one in by_spec.items() if one.failed < one.calls)
    return RoleUsage(**row, specs=specs, by_spec=by_spec)


def _without(row: Row, *left_out: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in left_out}
