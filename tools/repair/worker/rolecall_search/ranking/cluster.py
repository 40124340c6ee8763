"""Behaviour of the patches that pass: those that behave alike form one cluster.

Owns the probing child: it records calls once and forks once per patch. It ranks nothing.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any, Callable, Optional

from rolecall_search.candidates import Candidate
from rolecall_search.ranking.calls import Call, changed, outputs, record_calls
from rolecall_search.runtime.hosting import TimeLimit
from rolecall_search.runtime.isolate import Limits, Pool, run_apart
from rolecall_search.trials.jobs import Found
from rolecall_search.trials.live import CannotSwapError, LiveCode
from rolecall_search.trials.validate import Trial

CHANGED_CALLS = 40
TEST_LIMIT_S = 0.5
PROBE_CPU_S = 4.0
PROBED_TESTS = 24


@dataclass
class Behaviour:
    """Outputs of every patch and of the unedited program on the same calls."""

    calls: list[str] = field(default_factory=list)
    recorded: int = 0
    original: list[str] = field(default_factory=list)
    by_patch: list[Optional[list[str]]] = field(default_factory=list)

    def clusters(self) -> list[int]:
        """A number per patch; equal numbers behave alike; 0 means not comparable."""
        numbers: dict[tuple[str, ...], int] = {}
        return [numbers.setdefault(tuple(found), len(numbers) + 1) if found else 0 for found in self.by_patch]

    def disagreement(self) -> Optional[tuple[str, list[str]]]:
        """A call on which patches differ, with one output per patch; recorded calls first."""
        best: Optional[tuple[tuple[int, int, int], int]] = None
        known = [found for found in self.by_patch if found]
        for at in range(len(self.calls)):
            values = {found[at] for found in known}
            if len(values) > 1:
                odd = sum(value.startswith(("raises", "does not")) for value in values)
                rank = (int(at >= self.recorded), odd, len(self.calls[at]))
                if best is None or rank < best[0]:
                    best = (rank, at)
        if best is None:
            return None
        at = best[1]
        return self.calls[at], [found[at] if found else "not tried" for found in self.by_patch]


@dataclass
class Prober:
    """Compares patches inside one child of the collected session."""

    trial: Trial
    temp: str

    def compare(self, found: list[Found], tests: list[int], seconds: float) -> Behaviour:
        """Run the recorded and changed calls on the original and on every patch."""
        reply = run_apart(lambda: self._probe(found, tests), Limits(seconds, seconds), self.temp).reply
        return Behaviour(*reply) if reply else Behaviour()

    def _probe(self, found: list[Found], tests: list[int]) -> tuple[Any, ...]:
        functions = self._functions([entry.candidate for entry in found])
        calls = record_calls(lambda arm: self._run(tests[:PROBED_TESTS], arm), functions)
        recorded = len(calls)
        calls += changed(calls, CHANGED_CALLS)
        made: list[Any] = [None] * (len(found) + 1)
        pool = Pool(1, os.environ["TMPDIR"])
        for number in range(len(found) + 1):
            candidate = found[number - 1].candidate if number else None
            work = self._replay(calls, candidate)
            pool.start(number, work, Limits(PROBE_CPU_S, 2 * PROBE_CPU_S))
            for job, outcome in pool.wait(2 * PROBE_CPU_S):
                made[job] = outcome.reply
        texts = [call.text() for call in calls]
        return texts, recorded, made[0] or [], made[1:]

    def _functions(self, candidates: list[Candidate]) -> dict[int, FunctionType]:
        functions: dict[int, FunctionType] = {}
        for candidate in candidates:
            if candidate.unit is not None:
                for function in self.trial.live.functions_of(candidate.source, candidate.unit):
                    functions[id(function.__code__)] = function
        return functions

    def _run(self, tests: list[int], arm: Callable[[], None]) -> None:
        signal.signal(signal.SIGALRM, _alarm)
        for at, test in enumerate(tests):
            following = self.trial.items[tests[at + 1]] if at + 1 < len(tests) else None
            signal.setitimer(signal.ITIMER_REAL, TEST_LIMIT_S, 0.1)
            arm()
            try:
                self.trial.host.run(self.trial.items[test], following)
            except TimeLimit:
                continue
            finally:
                sys.setprofile(None)
                signal.setitimer(signal.ITIMER_REAL, 0)

    def _replay(self, calls: list[Call], candidate: Optional[Candidate]) -> Callable[[], Optional[list[str]]]:
        live = self.trial.live

        def work() -> Optional[list[str]]:
            if candidate is not None and not swapped(live, candidate):
                return None
            return outputs(calls, lambda call: call.function(*call.args, **call.keywords))

        return work


def swapped(live: LiveCode, candidate: Candidate, *, placed: bool = False) -> bool:
    """Apply a candidate in this process; False when it needs a fresh import."""
    if candidate.unit is None or candidate.fresh:
        return False
    code = candidate.source.compile_unit(candidate.unit, candidate.edits, placed=placed)
    try:
        live.swap(candidate.source, candidate.unit, code)
    except CannotSwapError:
        return False
    return True


def _alarm(number: int, frame: object) -> None:
    raise TimeLimit
