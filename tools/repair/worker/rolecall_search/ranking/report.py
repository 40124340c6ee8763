"""The result as plain JSON values.

Owns the shape of what is sent back. It computes no ranking.
"""

from __future__ import annotations

from typing import Any, Optional

from rolecall_search.evidence.localize import Suspicion
from rolecall_search.program.project import Project


def result(status: str, stop_reason: str, **fields: Any) -> dict[str, Any]:
    """A result with every field the reader expects."""
    made: dict[str, Any] = {
        "status": status, "stop_reason": stop_reason, "patches": [], "suspicious": [],
        "disagreement": None, "tried": 0, "failing": [], "passing": 0, "phases": {}, "cpu_s": 0.0, "validation_s": 0.0,
    }  # fmt: skip
    made.update(fields)
    return made


def suspicious_lines(project: Project, suspicion: Optional[Suspicion]) -> list[dict[str, Any]]:
    """The most suspicious lines with their text."""
    made = []
    for path, line, score in suspicion.top(40) if suspicion is not None else []:
        source = project.source(path)
        if source is None or len(made) == 12 or line > len(source.line_starts):
            continue
        text = source.line(line).strip()
        made.append({"path": source.rel, "line": line, "score": round(score, 4), "text": text})
    return made
