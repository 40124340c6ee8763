"""What is tried: one candidate at a time, or several in one fork.

Owns the memory in which such a fork says what became of each. It runs nothing.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from types import CodeType
from typing import Optional

from rolecall_search.candidates import Candidate

BOARD_ENTRY = struct.Struct("bi")
WAITS, UNDER_WAY, REJECTED, HANGS, OTHERWISE = range(5)


@dataclass(eq=False)
class Job:
    """One try under way."""

    candidate: Candidate
    stage: str
    level: int = 0
    tests: int = 0
    seconds: float = 0.0
    code: Optional[CodeType] = None
    mended: tuple[str, ...] = ()
    alone: bool = False
    """Whether it needs a fork of its own: what a shared one said of it is not enough."""


class Batch:
    """Jobs that share one fork; what became of each stands in memory that parent and child share."""

    def __init__(self, jobs: list[Job]) -> None:
        self.jobs = jobs
        self._board = mmap.mmap(-1, BOARD_ENTRY.size * len(jobs))

    def note(self, at: int, state: int, test: int = -1) -> None:
        """Say, in the child, what became of a job, and which test rejected it."""
        BOARD_ENTRY.pack_into(self._board, BOARD_ENTRY.size * at, state, test)

    def read(self) -> list[tuple[Job, int, int]]:
        """The jobs in order, each with its state and with the test that rejected it or -1; read once."""
        size = BOARD_ENTRY.size
        noted = [BOARD_ENTRY.unpack_from(self._board, size * at) for at in range(len(self.jobs))]
        self._board.close()
        return [(job, *entry) for job, entry in zip(self.jobs, noted)]
