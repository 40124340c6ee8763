"""Where the fault most likely is: Ochiai over the lines that tests ran.

Owns scores of lines. It does not read the text of the lines, except to find uses of a constant.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Callable

from rolecall_search.evidence.baseline import TestRun

FRAME_BOOST = 1.25
IMPORT_SCORE = 0.25
IMPORT_SHARE = 0.4
CALLED_SHARE = 0.7
NEAR_LINES = 12


@dataclass
class Suspicion:
    """Scores between 0 and 1 by file and line, and the tests that ran each line."""

    scores: dict[str, dict[int, float]] = field(default_factory=dict)
    covering: dict[tuple[str, int], set[int]] = field(default_factory=dict)

    def top(self, count: int) -> list[tuple[str, int, float]]:
        """The most suspicious lines."""
        flat = [(path, line, score) for path, lines in self.scores.items() for line, score in lines.items()]
        flat.sort(key=lambda entry: (-entry[2], entry[0], entry[1]))
        return flat[:count]


def rank_lines(failing: list[TestRun], passing: list[TestRun]) -> Suspicion:
    """Score the lines that failing tests ran."""
    made = Suspicion()
    failed: dict[tuple[str, int], int] = {}
    passed: dict[tuple[str, int], int] = {}
    for runs, counts in ((failing, failed), (passing, passed)):
        for run in runs:
            for path, lines in run.lines.items():
                for line in lines:
                    counts[path, line] = counts.get((path, line), 0) + 1
                    made.covering.setdefault((path, line), set()).add(run.index)
    total = max(1, len([run for run in failing if run.lines]))
    on_trace = _crash_lines(failing)
    for (path, line), count in failed.items():
        score = count / math.sqrt(total * (count + passed.get((path, line), 0)))
        if (path, line) in on_trace:
            score = min(1.0, score * FRAME_BOOST)
        made.scores.setdefault(path, {})[line] = score
    return made


def add_imported(
    suspicion: Suspicion,
    lines: dict[str, list[int]],
    in_function: Callable[[str, int], bool],
) -> None:
    """Give lines that run at import only a share of the best score of their file."""
    for path, found in lines.items():
        known = suspicion.scores.get(path)
        if not known:
            continue
        best = max(known.values())
        for line in found:
            if (path, line) not in suspicion.covering:
                share = CALLED_SHARE if in_function(path, line) else IMPORT_SHARE
                known.setdefault(line, share * best)


def rank_import(lines: dict[str, list[int]], errors: dict[str, list[tuple[str, int]]]) -> Suspicion:
    """Score the lines that ran during a failed import; those in the traceback come first."""
    made = Suspicion()
    for path, found in lines.items():
        made.scores[path] = dict.fromkeys(found, IMPORT_SCORE)
    for frames in errors.values():
        inside = [frame for frame in frames if frame[0] in lines]
        for rank, (path, line) in enumerate(reversed(inside)):
            score = 1.0 / (1.0 + 0.2 * rank)
            known = made.scores.setdefault(path, {})
            known[line] = max(known.get(line, 0.0), score)
        if inside:
            _raise_near(made.scores[inside[-1][0]], inside[-1][1])
    return made


def _raise_near(scores: dict[int, float], line: int) -> None:
    """Mark lines that ran near the one where an import stopped as nearly as suspicious."""
    for other, score in list(scores.items()):
        distance = abs(other - line)
        if distance <= NEAR_LINES:
            scores[other] = max(score, 0.8 - 0.02 * distance)


def _crash_lines(failing: list[TestRun]) -> set[tuple[str, int]]:
    found = set()
    for run in failing:
        inside = [frame for frame in run.frames if frame[0] in run.lines]
        found.update(inside[-2:])
    return found
