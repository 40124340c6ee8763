"""Runs queries over records."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from querylang.nodes import Record, lookup
from querylang.parser import parse


def _rank(value: Any) -> tuple[int, Any]:
    """Sort key for mixed values: numbers, then texts in any case, null at the end."""
    if value is None:
        return (2, 0)
    if isinstance(value, str):
        return (1, value.lower())
    return (0, value)


def ordered(records: Iterable[Record], order: str) -> list[Record]:
    """Sort by fields set apart by commas; a minus before one turns its order round.

    Records without the field come last either way, and equal ones keep their order.

    >>> ordered([{"n": 1}, {"n": 3}, {}], "-n")
    [{'n': 3}, {'n': 1}, {}]
    """
    result = list(records)
    for field in reversed(order.split(",")):
        name = field.strip()
        down = name.startswith("-")
        name = name.lstrip("-")
        have = [record for record in result if lookup(record, name) is not None]
        lack = [record for record in result if lookup(record, name) is None]
        have.sort(key=lambda record: _rank(lookup(record, name)), reverse=down)
        result = have + lack
    return result


def select(
    records: Iterable[Record], query: str = "", order: str = "", limit: int | None = None, offset: int = 0
) -> list[Record]:
    """Return the records that fit, in order, a page of them if a limit is given.

    An empty query fits all. A limit of 0 gives none.
    """
    condition = parse(query) if query.strip() else None
    found = [record for record in records if condition is None or condition.test(record)]
    if order:
        found = ordered(found, order)
    end = None if limit is None else offset + limit
    return found[offset:end]


def count_by(records: Iterable[Record], field: str, query: str = "") -> dict[Any, int]:
    """Count the records that fit by a field's value, the most frequent first, equal ones by value."""
    counts = Counter(lookup(record, field) for record in select(records, query))
    return dict(sorted(counts.items(), key=lambda item: (-item[1], _rank(item[0]))))


def project(records: Iterable[Record], *fields: str) -> list[dict[str, Any]]:
    """Keep only some fields, under the last part of their path."""
    return [{field.rpartition(".")[2]: lookup(record, field) for field in fields} for record in records]
