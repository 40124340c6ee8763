"""What a query is made of, and how it judges a record."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Record = Mapping[str, Any]
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def lookup(record: Record, path: str) -> Any:
    """Return a value by its dotted path; None where any part of the way is missing.

    >>> lookup({"user": {"name": "ann"}}, "user.name")
    'ann'
    >>> lookup({"user": None}, "user.name") is None
    True
    """
    value: Any = record
    for part in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


@dataclass(frozen=True)
class Compare:
    """A field against a constant. Texts are compared without regard to case; null is never less or more."""

    field: str
    op: str
    value: Any

    def test(self, record: Record) -> bool:
        have, want = lookup(record, self.field), self.value
        if have is None:
            return self.op == "!="
        if isinstance(have, str) and isinstance(want, str):
            have, want = have.lower(), want.lower()
        try:
            return COMPARE[self.op](have, want)
        except TypeError:
            return False


@dataclass(frozen=True)
class Among:
    """A field's value is one of several; texts match in any case."""

    field: str
    values: tuple[Any, ...]

    def test(self, record: Record) -> bool:
        return any(Compare(self.field, "=", value).test(record) for value in self.values)


@dataclass(frozen=True)
class Like:
    """A field's text fits a pattern: `%` is anything, `_` one character."""

    field: str
    pattern: str

    def test(self, record: Record) -> bool:
        have = lookup(record, self.field)
        if not isinstance(have, str):
            return False
        pattern = re.escape(self.pattern).replace("%", ".*").replace("_", ".")
        return re.fullmatch(pattern, have, re.IGNORECASE | re.DOTALL) is not None


@dataclass(frozen=True)
class IsNull:
    field: str

    def test(self, record: Record) -> bool:
        return lookup(record, self.field) is None


@dataclass(frozen=True)
class Not:
    inner: Any

    def test(self, record: Record) -> bool:
        return not self.inner.test(record)


@dataclass(frozen=True)
class And:
    parts: tuple[Any, ...]

    def test(self, record: Record) -> bool:
        return all(part.test(record) for part in self.parts)


@dataclass(frozen=True)
class Or:
    parts: tuple[Any, ...]

    def test(self, record: Record) -> bool:
        return any(part.test(record) for part in self.parts)
