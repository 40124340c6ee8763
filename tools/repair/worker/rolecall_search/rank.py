"""The order and the honesty labels of patches that pass.

Owns the ranking after the search. It runs nothing.
"""

from __future__ import annotations

from typing import Any

from rolecall_search.baseline import Baseline
from rolecall_search.search import Found


def describe(found: list[Found], baseline: Baseline) -> list[dict[str, Any]]:
    """The patches, best first, as plain values."""
    best = sorted(found, key=lambda entry: -entry.candidate.score)
    return [_plain(entry) for entry in best[:10]]


def _plain(entry: Found) -> dict[str, Any]:
    candidate = entry.candidate
    return {
        "path": candidate.source.rel,
        "edits": [list(edit) for edit in candidate.edits],
        "line": candidate.line,
        "template": candidate.template,
        "score": round(candidate.score, 5),
        "validated_by": entry.tests,
        "cluster": 0,
        "confidence": "low",
        "reason": "",
    }
