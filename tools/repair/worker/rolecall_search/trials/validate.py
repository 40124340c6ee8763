"""Trying candidates: in a fork of the collected session, or in a fresh run where that is needed.

Owns the order of tests for one try and the meaning of a reply. It knows nothing of templates.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import CodeType
from typing import Any, Optional

from rolecall_search.candidates import Candidate
from rolecall_search.runtime.hosting import PASSED, Host
from rolecall_search.runtime.isolate import renew
from rolecall_search.trials.live import CannotSwapError, LiveCode, Overrides

PLAUSIBLE, KILLED, NEEDS_FRESH = "plausible", "killed", "needs-fresh"


@dataclass
class Plan:
    """The tests of a try: those to mend, then those to keep; the best killers first."""

    failing: list[int]
    passing: list[int]
    seconds: dict[int, float]
    expected: dict[int, tuple[str, str]] = field(default_factory=dict)
    """How each test ends without an edit: its outcome and its error."""
    kills: dict[int, int] = field(default_factory=dict)

    def order(self, covering: frozenset[int]) -> list[int]:
        """The failing tests, then the covering passing ones, in the order to run them."""
        first = sorted(self.failing, key=self._key)
        # Nearly every candidate ends at the first test: the fastest failing one.
        gate = min(first, key=lambda test: self.seconds.get(test, 0.0), default=None)
        first.sort(key=lambda test: test != gate)
        return first + sorted((t for t in self.passing if t in covering), key=self._key)

    def limits(self, tests: list[int], floor: float) -> list[float]:
        """Seconds of CPU for each test."""
        return [max(floor, 4.0 * self.seconds.get(test, 0.0)) for test in tests]

    def _key(self, test: int) -> tuple[float, float]:
        return -self.kills.get(test, 0), self.seconds.get(test, 0.0)

    def drop(self, test: int) -> None:
        """Leave a test to fresh runs."""
        for tests in (self.failing, self.passing):
            if test in tests:
                tests.remove(test)

    def killed_by(self, test: int) -> None:
        """Count a test that rejected a candidate."""
        self.kills[test] = self.kills.get(test, 0) + 1


@dataclass
class Trial:
    """Runs one candidate inside a forked child of the collected session."""

    host: Host
    items: list[Any]
    live: LiveCode
    overrides: Overrides

    def run(
        self, candidate: Candidate, code: Optional[CodeType], tests: list[int], limits: list[float]
    ) -> tuple[str, int]:
        """Apply the candidate and run tests until one objects; each has its CPU limit."""
        self.overrides[candidate.source.path] = candidate.source.apply(candidate.edits)
        if candidate.source.path in self.live.imported:
            if code is None or candidate.unit is None:
                return NEEDS_FRESH, -1
            try:
                self.live.swap(candidate.source, candidate.unit, code)
            except CannotSwapError:
                return NEEDS_FRESH, -1
        for at, test in enumerate(tests):
            item = self.items[test]
            following = self.items[tests[at + 1]] if at + 1 < len(tests) else None
            item.repr_failure = _no_text
            renew(limits[at])
            if self.host.run(item, following).outcome != PASSED:
                return KILLED, test
        return PLAUSIBLE, -1

    def alone(self, test: int) -> tuple[str, str]:
        """Run one test on the unedited program with no other before it."""
        self.items[test].repr_failure = _no_text
        verdict = self.host.run(self.items[test], None)
        return verdict.outcome, verdict.error


def _no_text(*args: object, **kwargs: object) -> str:
    return "failed"
