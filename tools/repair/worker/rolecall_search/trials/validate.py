"""Trying candidates: in a fork of the collected session, or in a fresh run where that is needed.

Owns the order of tests for one try and the meaning of a reply. It knows nothing of templates.
"""

from __future__ import annotations

import math
import signal
from dataclasses import dataclass, field
from types import CodeType, FunctionType
from typing import Any, Optional

from rolecall_search.candidates import Candidate
from rolecall_search.runtime.hosting import PASSED, Host, TimeLimit, no_text
from rolecall_search.runtime.isolate import renew
from rolecall_search.trials.batch import HANGS, OTHERWISE, REJECTED, UNDER_WAY, Batch
from rolecall_search.trials.live import CannotSwapError, LiveCode, Overrides, put_back
from rolecall_search.trials.state import State

PLAUSIBLE, PARTIAL, KILLED, NEEDS_FRESH = "plausible", "partial", "killed", "needs-fresh"
REPRESENTATIVES = 1
CHEAP_S = 0.02
# Of the processor, for a test in a shared fork: so many times what it takes at most, within these bounds.
PATIENCE, SHORTEST_S, LONGEST_S = 8.0, 0.02, 0.06
CROWDED_S = 2.6
"""More for a try that waits for a processor."""
Order = tuple[list[int], list[int]]


@dataclass
class Plan:
    """The tests of a try: those to repair, then those to keep passing; the best killers first."""

    failing: list[int]
    passing: list[int]
    seconds: dict[int, float]
    expected: dict[int, tuple[str, str]] = field(default_factory=dict)
    """How each test ends without an edit: its outcome and its error."""
    kills: dict[int, int] = field(default_factory=dict)
    groups: dict[int, Any] = field(default_factory=dict)
    """For a failing test: what distinguishes its fault, such as the error and where it was raised."""
    unknown: frozenset[int] = frozenset()
    """Failing tests for which no lines are known."""

    def order(self, covering: frozenset[int]) -> Order:
        """The failing tests that an edit may repair, then the covering passing ones, in the order to run them.

        The first failing one is followed by those that most likely fail for another reason.
        """
        reached = [test for test in self.failing if test in covering or test in self.unknown] if covering else []
        first = sorted(reached or self.failing, key=self._key)
        # Nearly every candidate ends at the first test: the fastest failing one.
        gate = min(first, key=lambda test: self.seconds.get(test, 0.0), default=None)
        ahead = [gate] if gate is not None else []
        for test in first:
            kinds = {self.groups.get(other) for other in ahead}
            cheap = self.seconds.get(test, 0.0) <= CHEAP_S
            if len(ahead) <= REPRESENTATIVES and cheap and self.groups.get(test) not in kinds:
                ahead.append(test)
        first = ahead + [test for test in first if test not in ahead]
        return first, sorted((t for t in self.passing if t in covering), key=self._key)

    def representatives(self, failing: list[int]) -> int:
        """How many of the failing tests are tried even if the first one still fails."""
        count = 1
        while (
            count < min(len(failing), REPRESENTATIVES + 1)
            and self.seconds.get(failing[count], 0.0) <= CHEAP_S
            and self.groups.get(failing[count]) != self.groups.get(failing[0])
        ):
            count += 1
        return count

    def gate_seconds(self, order: Order) -> float:
        """How long the tests take that nearly every candidate ends at; endless for a test that hangs."""
        first = order[0][: self.representatives(order[0])]
        seconds = [self.seconds.get(test, 0.0) for test in first]
        return sum(seconds) if seconds and all(seconds) else math.inf

    def patience(self, order: Order) -> float:
        """Seconds of the processor after which a test in a shared fork counts as hanging."""
        longest = max((self.seconds.get(test, 0.0) for tests in order for test in tests), default=0.0)
        return min(LONGEST_S, max(SHORTEST_S, PATIENCE * longest))

    def wall(self, tests: list[int], floor: float) -> float:
        """Seconds of the wall for a try."""
        return CROWDED_S + 0.4 + 4.0 * floor + 6.0 * sum(self.seconds.get(test, 0.0) for test in tests)

    def limit(self, test: int, floor: float) -> float:
        """Seconds of CPU for a test."""
        return max(floor, 4.0 * self.seconds.get(test, 0.0))

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
    state: State
    _swapped: list[tuple[FunctionType, CodeType]] = field(default_factory=list)
    _patience: float = 0.0
    _hung: bool = False

    def sift(self, batch: Batch, plan: Plan, orders: list[Order], floor: float, wall: float) -> bool:
        """Try the candidates of a batch one after another, each taken out again before the next.

        What does not reject a candidate here is no verdict: it is tried again in a fork of its own. When a candidate
        leaves a trace in the program, those after it are left as they are.

        Returns:
            Whether a test still ends as it does without an edit.
        """
        control = orders[0][0][0]
        signal.signal(signal.SIGVTALRM, _too_long)
        self.state.begin()
        for at, job in enumerate(batch.jobs):
            batch.note(at, UNDER_WAY)
            signal.setitimer(signal.ITIMER_REAL, wall)
            self._patience, self._hung = plan.patience(orders[at]), False
            verdict, test, _ = self.run(job.candidate, job.code, plan, orders[at], floor)
            self._patience = 0.0
            self.host.tear_down(self.items[control].session)
            put_back(self._swapped)
            del self.overrides[job.candidate.source.path]
            batch.note(at, HANGS if self._hung else REJECTED if verdict == KILLED else OTHERWISE, test)
            if self.state.changed():
                return True
        return self.alone(control) == plan.expected.get(control)

    def run(
        self, candidate: Candidate, code: Optional[CodeType], plan: Plan, order: Order, floor: float
    ) -> tuple[str, int, list[int]]:
        """Apply the candidate and run tests until one objects; each has its CPU limit.

        Returns:
            The verdict, the test that objected or -1, and the failing tests that pass now.
        """
        if not self._put_in(candidate, code):
            return NEEDS_FRESH, -1, []
        failing, passing = order
        mended, objected = self._first_tests(failing, passing, plan, floor)
        if objected >= 0 and not mended:
            return KILLED, objected, []
        if objected >= 0:
            self.host.tear_down(self.items[objected].session)
        rest = failing[failing.index(objected) + 1 :] if objected >= 0 else []
        rest = [test for test in rest if test not in mended]
        for at, test in enumerate(passing):
            if not self._passes(test, [*passing[at + 1 :], *rest][:1], plan, floor):
                return KILLED, test, []
        mended += [test for at, test in enumerate(rest) if self._passes(test, rest[at + 1 : at + 2], plan, floor)]
        if objected < 0 and len(mended) == len(plan.failing):
            return PLAUSIBLE, -1, mended
        return PARTIAL, objected, mended

    def _put_in(self, candidate: Candidate, code: Optional[CodeType]) -> bool:
        """Apply the candidate in this process; False when only a fresh import shows its effect."""
        self.overrides[candidate.source.path] = candidate.source.apply(candidate.edits)
        if candidate.source.path not in self.live.imported:
            return True
        if code is None or candidate.unit is None:
            return False
        try:
            self._swapped = self.live.swap(candidate.source, candidate.unit, code)
        except CannotSwapError:
            return False
        return True

    def _first_tests(self, failing: list[int], passing: list[int], plan: Plan, floor: float) -> tuple[list[int], int]:
        """Run the failing tests until one objects, and those that may fail for another reason.

        Returns:
            Those that pass now, and the first that objects or -1.
        """
        ahead, objected = plan.representatives(failing), -1
        mended: list[int] = []
        for at, test in enumerate(failing):
            if self._passes(test, [*failing[at + 1 :], *passing][:1], plan, floor):
                mended.append(test)
            elif objected < 0:
                objected = test
            if objected >= 0 and (mended or at + 1 >= ahead):
                break
        return mended, objected

    def _passes(self, test: int, following: list[int], plan: Plan, floor: float) -> bool:
        item = self.items[test]
        item.repr_failure = no_text
        renew(plan.limit(test, floor))
        signal.setitimer(signal.ITIMER_VIRTUAL, self._patience)
        verdict = self.host.run(item, self.items[following[0]] if following else None)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
        self._hung = self._hung or verdict.hang
        return verdict.outcome == PASSED

    def alone(self, test: int) -> tuple[str, str]:
        """Run one test on the unedited program with no other before it."""
        self.items[test].repr_failure = no_text
        verdict = self.host.run(self.items[test], None)
        return verdict.outcome, verdict.error


def _too_long(number: int, frame: object) -> None:
    raise TimeLimit
