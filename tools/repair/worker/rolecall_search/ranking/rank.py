"""The order and the honesty labels of patches that pass.

Owns the ranking after the search. It runs nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Sequence

from rolecall_search.candidates import SWAPS
from rolecall_search.evidence.baseline import Baseline
from rolecall_search.evidence.localize import Suspicion
from rolecall_search.ranking.cluster import Behaviour
from rolecall_search.ranking.examples import NO_EXAMPLES, Examples
from rolecall_search.ranking.overfit import DUBIOUS, cost
from rolecall_search.trials.jobs import Found

SHOWN = 12
ENOUGH_TESTS = 5
LIKELY = 0.08
"""The least score, of place and kind of an edit together, for a high confidence."""
SLOWER = 4.0
FEW_LINES = 3
AGAINST_EXAMPLES, FEWER_EXAMPLES = 0.15, 0.3
NAMED = 3
ASSERTIONS = frozenset({"AssertionError", "Failed", ""})
BLUNT = {
    "delete a statement": 0.5, "fixed condition": 0.45, "drop a condition, keep its body": 0.6,
    "drop an operand": 0.85, "square": 0.8, "another constant": 0.9, "early exit": 0.85,
    "guard a statement": 0.7, "catch an error": 0.5, "take one branch": 0.7,
    "keep the else branch": 0.5, "a constant of the tests": 0.5, "return instead of raise": 0.6,
}  # fmt: skip

# Taking something away ranks below any operator that passes on the same line.
DROPS = frozenset(
    {"drop an operand", "drop a condition", "delete a statement", "unwrap a call", "fixed condition",
     "drop an argument", "another function", "drop a method call"}
)  # fmt: skip


@dataclass(frozen=True)
class Ranked:
    """One patch with the ranking's findings."""

    found: Found
    score: float
    cluster: int
    changes: int
    tests: int
    lost: int = 0
    """Lines that tests ran before and no test runs any more."""
    cost: float = 1.0
    """What `overfit` makes of it."""
    examples: Examples = NO_EXAMPLES


def rank(
    found: list[Found],
    baseline: Baseline,
    suspicion: Suspicion,
    behaviour: Behaviour,
    lost: dict[int, int],
    examples: Sequence[Examples] = (),
) -> tuple[list[Ranked], list[int]]:
    """Order the patches; returns them with their places in `found`.

    `lost` gives, by place in `found`, how many lines no test reaches any more, `examples` what
    each patch does to the examples in docstrings.
    """
    clusters = behaviour.clusters() or [0] * len(found)
    crash = any(run.hang or run.error not in ASSERTIONS for run in baseline.failing())
    fastest = min((entry.seconds for entry in found), default=0.0)
    swapped = {line_of(entry) for entry in found if entry.candidate.template in SWAPS}
    inside = any(entry.candidate.unit is not None for entry in found)
    shown = list(examples) or [NO_EXAMPLES] * len(found)
    made = []
    for at, entry in enumerate(found):
        taken = cost(entry.candidate)
        score = score_of_text(entry, taken)
        if entry.candidate.template in DROPS and line_of(entry) in swapped:
            score *= 0.2
        mates = clusters.count(clusters[at]) if clusters[at] else 1
        score *= 1.0 + 0.1 * min(4, mates - 1)
        changes, to_none = differences(behaviour, at)
        if crash and changes:
            score *= 0.5
        if to_none:
            score *= 0.3
        if entry.seconds > SLOWER * fastest + 0.25:
            score *= 0.6
        if not entry.whole:
            score *= 0.4
        if lost.get(at, 0) > FEW_LINES:
            score *= 0.5
        score *= _by_examples(shown[at], shown)
        if entry.candidate.unit is None and inside:
            score *= 0.6
        tests = len(tests_on(entry, suspicion))
        made.append((Ranked(entry, score, clusters[at], changes, tests, lost.get(at, 0), taken, shown[at]), at))
    made.sort(key=lambda pair: -pair[0].score)
    return [pair[0] for pair in made], [pair[1] for pair in made]


def score_of_text(entry: Found, taken: float) -> float:
    """The score as far as the text of an edit gives it; `taken` is what `overfit` makes of it."""
    return entry.candidate.score * BLUNT.get(entry.candidate.template, 1.0) * _small(entry) * taken


def _by_examples(one: Examples, every: list[Examples]) -> float:
    """Patches that break more of the examples in docstrings than others, or mend fewer, come later."""
    made = AGAINST_EXAMPLES if len(one.broken) > min(len(other.broken) for other in every) else 1.0
    return made * (FEWER_EXAMPLES if len(one.mended) < max(len(other.mended) for other in every) else 1.0)


def line_of(entry: Found) -> tuple[str, int]:
    """The edited file and line."""
    return entry.candidate.source.path, entry.candidate.line


def _small(entry: Found) -> float:
    """Patches with a lot of new text are less likely to be what a person would write."""
    written = sum(len(edit.text) for edit in entry.candidate.edits)
    removed = sum(edit.end - edit.start for edit in entry.candidate.edits)
    growth = max(0, written - removed)
    return 1.0 / (1.0 + growth / 150.0)


def differences(behaviour: Behaviour, at: int) -> tuple[int, bool]:
    """On how many calls a patch changes what the program returned, and whether it became None."""
    if not behaviour.by_patch or not behaviour.by_patch[at] or not behaviour.original:
        return 0, False
    changes = 0
    to_none = False
    for before, after in zip(behaviour.original, behaviour.by_patch[at] or []):
        if before.startswith(("raises", "does not")) or before == after:
            continue
        changes += 1
        to_none = to_none or (after == "None" and before != "None")
    return changes, to_none


def tests_on(entry: Found, suspicion: Suspicion) -> set[int]:
    """The tests that ran the edited line; of a header, those that ran its function."""
    place = (entry.candidate.source.path, entry.candidate.line)
    return suspicion.covering.get(place) or set(entry.candidate.covering)


def describe(ranked: list[Ranked], behaviour: Behaviour) -> list[dict[str, Any]]:
    """The patches, best first, as plain values."""
    clusters = {entry.cluster for entry in ranked}
    return [_plain(entry, ranked, len(clusters), behaviour) for entry in ranked[:SHOWN]]


def _plain(entry: Ranked, ranked: list[Ranked], clusters: int, behaviour: Behaviour) -> dict[str, Any]:
    candidate = entry.found.candidate
    confidence, reason = label(entry, len(ranked) - 1, clusters, behaviour)
    return {
        "path": candidate.source.rel,
        "sha256": hashlib.sha256(candidate.source.text.encode()).hexdigest(),
        "edits": [list(edit) for edit in candidate.edits],
        "line": candidate.line,
        "template": candidate.template,
        "score": round(entry.score, 5),
        "validated_by": entry.found.tests,
        "whole": entry.found.whole,
        "still_failing": list(entry.found.still_failing),
        "mended": list(entry.found.mended),
        "cluster": entry.cluster,
        "confidence": confidence,
        "reason": reason,
    }


def label(entry: Ranked, others: int, clusters: int, behaviour: Behaviour) -> tuple[str, str]:
    """High or low, and why."""
    doubts = []
    if clusters > 1:
        also = "1 other patch also passes" if others == 1 else f"{others} other patches also pass"
        doubts.append(f"{also}, in {clusters} behaviour groups")
    if entry.tests < ENOUGH_TESTS:
        doubts.append(f"only {_tests_run(entry.tests)} the edited line")
    if entry.lost:
        lines = (
            "1 line that tests ran before is" if entry.lost == 1 else f"{entry.lost} lines that tests ran before are"
        )
        doubts.append(f"{lines} no longer reached")
    if entry.found.candidate.score < LIKELY:
        doubts.append("few faults are mended by an edit of this kind at this place")
    if entry.examples.broken:
        names = ", ".join(sorted(entry.examples.broken)[:NAMED])
        doubts.append(f"the examples in the docstring of {names} pass no more")
    if entry.cost < DUBIOUS:
        doubts.append("it makes the function do less than before")
    if not behaviour.calls:
        doubts.append("no call of the edited function could be repeated to compare behaviour")
    if not entry.found.whole:
        doubts.append("the whole suite was not run on it in a fresh process")
    if doubts:
        return "low", "; ".join(doubts)
    rest = "1 other patch that passes behaves" if others == 1 else f"{others} other patches that pass behave"
    also = f", and {rest} the same" if others else ""
    return "high", f"{_tests_run(entry.tests)} the edited line{also}"


def _tests_run(count: int) -> str:
    return "1 test runs" if count == 1 else f"{count} tests run"
