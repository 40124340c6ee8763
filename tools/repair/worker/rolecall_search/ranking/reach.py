"""Which lines no test reaches any more once a patch is applied.

Owns the traced run of patches that pass. It ranks nothing.
"""

from __future__ import annotations

import os
from typing import Callable, Optional

from rolecall_search.candidates import Candidate
from rolecall_search.evidence.baseline import TestRun
from rolecall_search.ranking.cluster import swapped
from rolecall_search.runtime.isolate import Limits, run_apart
from rolecall_search.runtime.tracing import make_tracer
from rolecall_search.trials.validate import Trial

MOST_TESTS = 40


def lost_lines(trial: Trial, candidate: Candidate, runs: list[TestRun], temp: str, seconds: float) -> int:
    """How many lines of the edited file some of the tests ran before and none runs now.

    Args:
        trial: Runs tests in forks of the collected session.
        candidate: The patch.
        runs: The tests that may reach the edit, with their results without it.
        temp: A directory for the child.
        seconds: Time for the run; 0 is returned when it is not enough.
    """
    path = candidate.source.path
    chosen = sorted(runs, key=lambda run: (run.outcome != "failed", run.seconds))[:MOST_TESTS]
    before = {line for run in chosen for line in run.lines.get(path, [])}
    after = _run(trial, candidate, [run.index for run in chosen], temp, seconds)
    if after is None:
        return 0
    place = moved(candidate.source.text, candidate.source.apply(candidate.edits))
    kept = {place(line) for line in before} - {0}
    return len(kept - after)


def moved(before: str, after: str) -> Callable[[int], int]:
    """Where a line of the old text is in the new one; 0 for lines that change."""
    old, new = before.splitlines(), after.splitlines()
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1

    def place(line: int) -> int:
        if line <= head:
            return line
        return line + len(new) - len(old) if line > len(old) - tail else 0

    return place


def _run(trial: Trial, candidate: Candidate, tests: list[int], temp: str, seconds: float) -> Optional[set[int]]:
    path = candidate.source.path

    def work() -> Optional[list[int]]:
        if not swapped(trial.live, candidate, placed=True):
            return None
        tracer = make_tracer(lambda name: os.path.realpath(name) == path)
        tracer.start()
        for at, test in enumerate(tests):
            following = trial.items[tests[at + 1]] if at + 1 < len(tests) else None
            trial.host.run(trial.items[test], following)
        lines: dict[str, list[int]] = tracer.take()
        tracer.stop()
        return [line for found in lines.values() for line in found]

    reply = run_apart(work, Limits(seconds, seconds), os.path.join(temp, "reach")).reply
    return set(reply) if reply else None
