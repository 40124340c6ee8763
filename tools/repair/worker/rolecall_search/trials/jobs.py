"""What came of the tries: patches that pass, and how fresh runs are asked for.

Owns these values. It runs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rolecall_search.candidates import Candidate
from rolecall_search.trials.fresh import FreshRun


@dataclass(eq=False)
class Found:
    """A patch that passes, and what it passed."""

    candidate: Candidate
    seconds: float
    tests: int = 0
    """How many tests passed."""
    whole: bool = False
    """Whether a fresh process ran the whole suite on it."""
    still_failing: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()
    """The failing tests that pass with it, if not all do."""
    merit: float = 0.0
    """Its score in the ranking as far as that is known before patches are compared."""
    dubious: bool = False
    """Whether it makes the program do less."""


@dataclass
class Arguments:
    """How fresh runs are requested."""

    base: dict[str, str]
    failing_args: tuple[str, ...]
    all_args: tuple[str, ...]
    failing_ids: tuple[str, ...]
    passing_ids: tuple[str, ...]
    must_load: tuple[str, ...]
    aside: tuple[str, ...]
    run_seconds: float
    failing_seconds: float
    collect_seconds: float

    def failing_run(self, candidate: Candidate) -> FreshRun:
        """The run of what fails only."""
        return FreshRun(
            self._overrides(candidate), self.failing_args, (), self.must_load, self.failing_ids, self.aside
        )  # fmt: skip

    def whole_run(self, candidate: Candidate, mended: tuple[str, ...] = ()) -> FreshRun:
        """A run of everything; of what failed, only what is `mended`, if that is not all."""
        wanted = mended or self.failing_ids
        left_out = tuple(set(self.failing_ids) - set(wanted))
        return FreshRun(
            self._overrides(candidate), self.all_args, wanted + self.passing_ids, () if mended else self.must_load,
            may_fail=self.aside + (self.must_load if mended else ()), left_out=left_out, reseeded=True,
        )  # fmt: skip

    def _overrides(self, candidate: Candidate) -> dict[str, str]:
        return {**self.base, candidate.source.path: edited(candidate)}


def edited(candidate: Candidate) -> str:
    """The edited text of a candidate's file."""
    return candidate.source.apply(candidate.edits)


def merit(entry: Any) -> tuple[int, float]:
    """The sort key for patches for some of the failing tests, best first."""
    return -len(entry.mended), -entry.candidate.score
