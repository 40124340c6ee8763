"""Versions and what a requirement asks of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering

_VERSION = re.compile(r"(\d+(?:\.\d+)*)(?:-?(a|b|rc)(\d+))?")
_CLAUSE = re.compile(r"\s*(==|!=|>=|<=|>|<|~=|\^)\s*(\S+)\s*")
STAGES = ("a", "b", "rc", "")


class VersionError(ValueError):
    """A version or requirement that cannot be read."""


@total_ordering
@dataclass(frozen=True, eq=False)
class Version:
    """Numbers and perhaps a pre-release; zeros at the end do not count.

    >>> Version.parse("1.2") == Version.parse("1.2.0")
    True
    >>> Version.parse("2.0rc1") < Version.parse("2.0")
    True
    """

    numbers: tuple[int, ...]
    stage: str = ""
    serial: int = 0

    @classmethod
    def parse(cls, text: str) -> Version:
        match = _VERSION.fullmatch(text.strip().lower())
        if match is None:
            raise VersionError(f"{text!r} is no version")
        numbers = tuple(int(part) for part in match[1].split("."))
        return cls(numbers, match[2] or "", int(match[3] or 0))

    @property
    def key(self) -> tuple[tuple[int, ...], int, int]:
        numbers = self.numbers
        while len(numbers) > 1 and numbers[-1] == 0:
            numbers = numbers[:-1]
        return (numbers, STAGES.index(self.stage), self.serial)

    @property
    def is_prerelease(self) -> bool:
        return self.stage != ""

    def part(self, at: int) -> int:
        """Return a number by its place; 0 where there is none."""
        return self.numbers[at] if at < len(self.numbers) else 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self.key == other.key

    def __lt__(self, other: Version) -> bool:
        return self.key < other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        text = ".".join(map(str, self.numbers))
        return f"{text}{self.stage}{self.serial}" if self.stage else text


@dataclass(frozen=True)
class Clause:
    """One condition on a version."""

    op: str
    version: Version

    def allows(self, version: Version) -> bool:
        if self.op in ("^", "~="):
            return self.version <= version < self._ceiling()
        return {
            "==": version == self.version,
            "!=": version != self.version,
            ">=": version >= self.version,
            "<=": version <= self.version,
            ">": version > self.version,
            "<": version < self.version,
        }[self.op]

    def _ceiling(self) -> Version:
        """Return the first version that is out of reach.

        `^1.2.3` goes up to 2, `^0.2.3` up to 0.3; `~=1.2.3` goes up to 1.3 and `~=1.2` up to 2.
        """
        numbers = self.version.numbers
        if self.op == "~=":
            kept = numbers[:-1]
            return Version((*kept[:-1], kept[-1] + 1))
        for at, number in enumerate(numbers):
            if number:
                return Version((*numbers[:at], number + 1))
        return Version((*numbers[:-1], 1))


@dataclass(frozen=True)
class Requirement:
    """A package's name and the conditions on its version; all of them must hold."""

    name: str
    clauses: tuple[Clause, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Requirement:
        """Read `name`, `name>=1.0` or `name >=1.0, <2`; names are small and have hyphens."""
        match = re.match(r"\s*([A-Za-z][\w.-]*)", text)
        if match is None:
            raise VersionError(f"{text!r} names no package")
        rest = text[match.end() :].strip()
        clauses = []
        for part in rest.split(",") if rest else []:
            found = _CLAUSE.fullmatch(part)
            if found is None:
                raise VersionError(f"{part!r} is no condition")
            clauses.append(Clause(found[1], Version.parse(found[2])))
        return cls(normal(match[1]), tuple(clauses))

    def allows(self, version: Version) -> bool:
        """Whether a version fits; pre-releases fit only where a condition names one."""
        if version.is_prerelease and not any(clause.version.is_prerelease for clause in self.clauses):
            return False
        return all(clause.allows(version) for clause in self.clauses)

    def __str__(self) -> str:
        return self.name + ",".join(f"{clause.op}{clause.version}" for clause in self.clauses)


def normal(name: str) -> str:
    """Return a name as it is compared.

    >>> normal("My_Tool..kit")
    'my-tool-kit'
    """
    return re.sub(r"[-_.]+", "-", name).lower()
