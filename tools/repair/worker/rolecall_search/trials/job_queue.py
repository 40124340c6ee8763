"""What is tried next: new candidates by score, and those that need another try.

Owns the queues, and drops candidates that do not compile or do the same as another. It runs nothing.
"""

from __future__ import annotations

import heapq
from typing import Any, Callable, Iterator, Optional

from rolecall_search.candidates import Candidate
from rolecall_search.program.source import signature_of
from rolecall_search.trials.batch import Job


class JobQueue:
    """The jobs that wait, best first."""

    def __init__(self, candidates: Iterator[Candidate], fresh_affordable: Callable[[], bool], *, forks: bool) -> None:
        self.forks = forks
        """Whether tests can be run in forks; otherwise every try is a fresh run."""
        self.score = float("inf")
        """Of the candidate drawn last; those to come score less, or hardly more."""
        self._fresh_affordable = fresh_affordable
        self._again: list[Job] = []
        self._fresh: list[tuple[float, int, Job]] = []
        self._longer: list[tuple[int, float, int, Job]] = []
        self._seen: set[Any] = set()
        self._count = 0
        self._jobs = self._in_order(candidates)

    def take(self) -> Optional[Job]:
        """The next job; None while there is none, though tries under way may still bring some."""
        return next(self._jobs)

    def put_back(self, jobs: list[Job]) -> None:
        """Jobs that were not tried after all: the next ones."""
        self._again[:0] = jobs

    def try_again(self, job: Job) -> None:
        """A job whose try showed nothing."""
        self._again.append(job)

    def try_fresh(self, job: Job) -> None:
        """A job for a fresh run, when there is time for one."""
        self._count += 1
        heapq.heappush(self._fresh, (-job.candidate.score, self._count, job))

    def try_longer(self, job: Job) -> None:
        """A job whose tests took too long: it is tried with more time when all else was tried."""
        self._count += 1
        heapq.heappush(self._longer, (job.level + 1, -job.candidate.score, self._count, job))

    def best_left(self) -> float:
        """The score that no waiting job exceeds, as far as the order of the candidates tells."""
        scores = [job.candidate.score for job in self._again] + [-score for score, _, _ in self._fresh[:1]]
        return max([self.score, *scores])

    def _in_order(self, candidates: Iterator[Candidate]) -> Iterator[Optional[Job]]:
        for candidate in candidates:
            yield from self._ready()
            self.score = candidate.score
            job = self._job_of(candidate)
            if job is None:
                continue
            if job.stage == "fresh" and self.forks:
                self.try_fresh(job)
            else:
                yield job
        self.score = 0.0
        while True:
            yield from self._ready()
            if self._fresh:
                yield heapq.heappop(self._fresh)[2]
            elif self._longer:
                level, _, _, job = heapq.heappop(self._longer)
                yield Job(job.candidate, "fast", level, code=job.code)
            else:
                yield None

    def _ready(self) -> Iterator[Job]:
        while self._again:
            job = self._again.pop(0)
            job.stage = job.stage if self.forks else "fresh"
            yield job
        while self._fresh and self._fresh_affordable():
            yield heapq.heappop(self._fresh)[2]

    def _job_of(self, candidate: Candidate) -> Optional[Job]:
        """None for what does not compile, or does the same as another candidate."""
        unit = candidate.unit
        code = None
        try:
            if unit is not None and _inside(candidate):
                code = candidate.source.compile_unit(unit, candidate.edits)
                key: Any = (unit.qualname, candidate.source.path, signature_of(code))
            else:
                text = candidate.source.apply(candidate.edits)
                module = compile(text, candidate.source.path, "exec", dont_inherit=True)
                key = (candidate.source.path, signature_of(module))
                candidate.fresh = True
        except (SyntaxError, ValueError, RecursionError):
            return None
        if key in self._seen:
            return None
        self._seen.add(key)
        return Job(candidate, "fresh" if candidate.fresh or not self.forks else "fast", code=code)


def _inside(candidate: Candidate) -> bool:
    """Whether only the body of the unit changes, so that live code can be swapped."""
    source, unit = candidate.source, candidate.unit
    assert unit is not None
    body = source.body_start(unit)
    line = source.line_starts[unit.node.body[0].lineno - 1]
    start = line if not source.text[line:body].strip() else body
    return all(edit.start >= start for edit in candidate.edits)
