"""How the search talks to the process that started it: one request in, JSON lines out.

Owns the descriptors of the process. It does not know what the lines mean.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Request:
    """What to repair and within which limits (seconds)."""

    root: str
    test_args: tuple[str, ...]
    budget_s: float
    workers: int
    temp: str
    started: float
    base: dict[str, str]
    """By real path: the text to start from, where it differs from the file."""
    history: dict[str, tuple[str, ...]]
    """By real path: earlier texts, the newest first."""
    skip: frozenset[str]
    """SHA-256 of edited files that are known not to work."""

    def remaining(self) -> float:
        """Seconds of the budget that are left."""
        return self.budget_s - (time.monotonic() - self.started)

    def elapsed(self) -> float:
        """Seconds since the search started."""
        return time.monotonic() - self.started


def read_request(text: str) -> Request:
    """Parse the request given as JSON."""
    raw = json.loads(text)
    workers = raw["workers"] or len(os.sched_getaffinity(0))
    root = os.path.realpath(raw["root"])

    def by_place(named: dict[str, Any]) -> dict[str, Any]:
        return {os.path.join(root, *name.split("/")): value for name, value in named.items()}

    return Request(
        root=root,
        test_args=tuple(raw["test_args"]),
        budget_s=float(raw["budget_s"]),
        workers=max(1, int(workers)),
        temp=raw["temp"],
        started=time.monotonic(),
        base=by_place(raw.get("base", {})),
        history={path: tuple(texts) for path, texts in by_place(raw.get("history", {})).items()},
        skip=frozenset(raw.get("skip", ())),
    )


class Channel:
    """The output channel; nothing reads the ordinary standard streams, so tests may print.

    The process that collects has it, and imports test files: what it says proves nothing. Tests and edited code run in
    forks, which do not have it.
    """

    def __init__(self) -> None:
        self._fd = os.dup(1)  # not inherited by programs the tests start
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os.close(null)
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)

    def emit(self, event: str, **fields: Any) -> None:
        """Write one event."""
        data = json.dumps({"event": event, **fields}).encode() + b"\n"
        while data:
            data = data[os.write(self._fd, data) :]

    def close(self) -> None:
        """Close the channel in this process."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1
