"""The loop of the search: take candidates, try them on the available cores, keep what passes.

Owns the budget and the queues. Ranking of what passes is elsewhere.
"""

from __future__ import annotations

import hashlib
import heapq
import math
import os
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Iterator, Optional

from rolecall_search.candidates import Candidate
from rolecall_search.program.source import signature_of
from rolecall_search.ranking.overfit import DUBIOUS, cost
from rolecall_search.runtime.isolate import Limits, Outcome, Pool
from rolecall_search.runtime.protocol import Request
from rolecall_search.trials.batch import HANGS, OTHERWISE, REJECTED, WAITS, Batch, Job
from rolecall_search.trials.fresh import FreshClient
from rolecall_search.trials.jobs import Arguments, Found, edited, merit
from rolecall_search.trials.validate import KILLED, NEEDS_FRESH, PARTIAL, PLAUSIBLE, Plan, Trial

FLOORS_S = (0.08, 0.8, 5.0)
ENOUGH = 24
MOST_SHARING = 24
SHARED_S = 1.0
"""How long the tests of one fork may take that nearly every candidate ends at."""
MOST_DOUBTS = 2
"""After so many forks in which a candidate changed what others see, each gets its own."""
FRESH_SHARE = 0.2
"""Share of all work while forks have something to try: a fresh run costs as much as a hundred of them."""
PART = "patches for some of the failing tests were found"
MOST_PARTIAL, PARTIAL_RUNS = 200, 6
# When to go on from a patch for a part of the failing tests, as a share of the budget: sooner where it mends every
# test that runs the edited function.
ALL_REACHED_SHARE, SOME_SHARE = 0.3, 0.45
DUBIOUS_SHARE = 3.0
"""How much longer the search goes on when all that passes makes the program do less."""


@dataclass
class Searcher:
    """State of one search."""

    request: Request
    pool: Pool
    fresh: FreshClient
    trial: Optional[Trial]
    plan: Plan
    arguments: Arguments
    on_progress: Callable[[int, int], None]
    tried: int = 0
    found: list[Found] = field(default_factory=list)
    waiting: list[Job] = field(default_factory=list)
    partial: list[Found] = field(default_factory=list)
    """Patches for some of the failing tests, as far as the tries showed."""
    stop_reason: str = ""
    validation_s: float = 0.0
    """Seconds of whole runs."""
    cpu_s: float = 0.0
    """CPU seconds of all tries and whole runs."""
    _doubts: int = 0
    _all_reached: bool = False
    _all_or_nothing: bool = False
    _checked: set[int] = field(default_factory=set)
    _again: list[Job] = field(default_factory=list)
    _seen: set[Any] = field(default_factory=set)
    _late: list[tuple[int, float, int, Job]] = field(default_factory=list)
    _fresh_queue: list[tuple[float, int, Job]] = field(default_factory=list)
    _fresh_spent: float = 0.0
    _put_off: int = 0
    _began: float = 0.0
    _first: float = 0.0
    _told: float = 0.0
    _fresh_seconds: float = 0.0

    def run(self, candidates: Iterator[Candidate], reserve: float) -> None:
        """Search until enough is found, nothing is left, or the budget is near its end."""
        self._began = self._first = time.monotonic()
        source = self._source(candidates)
        self._until_enough(source, reserve)
        if self.found:
            return
        self._settle_partial()
        if not self.partial and self.stop_reason == PART:
            # None of them stood the whole suite: the time that is left belongs to the rest of the candidates.
            self.stop_reason, self._all_or_nothing = "", True
            self._until_enough(source, reserve)

    def _until_enough(self, source: Iterator[Optional[Job]], reserve: float) -> None:
        exhausted = False
        while not self._over(reserve):
            while self._free() > 0 and not exhausted:
                jobs = self._take(source)
                if not jobs:
                    exhausted = not (self.pool.running or self.fresh.pending())
                    break
                self._start(jobs)
            if exhausted:
                self.stop_reason = "every candidate was tried"
                break
            self._collect(0.2)
        self.pool.stop()
        self._drain()

    def _take(self, source: Iterator[Optional[Job]]) -> list[Job]:
        """The next job, or several that can share a fork."""
        jobs: list[Job] = []
        seconds = 0.0
        while len(jobs) < min(MOST_SHARING, 1 + self.tried) and seconds < SHARED_S:
            job = next(source, None)
            if job is None:
                break
            alone = job.alone or job.stage == "fresh" or job.level > 0 or self._doubts > MOST_DOUBTS
            alone = alone or self.trial is None or self.trial.state.hidden
            seconds += math.inf if alone else self.plan.gate_seconds(self.plan.order(job.candidate.covering))
            if jobs and seconds > SHARED_S:
                self._again.insert(0, job)
                break
            jobs.append(job)
        return jobs

    def _free(self) -> int:
        return self.pool.free() - self.fresh.pending()

    def _over(self, reserve: float) -> bool:
        now = time.monotonic()
        if self.request.remaining() <= reserve:
            self.stop_reason = "the time budget is spent"
        elif len(self.found) >= ENOUGH:
            self.stop_reason = "enough patches pass"
        elif self.found:
            extra = min(12.0, max(2.0, 0.6 * (self._first - self._began)))
            if all(cost(entry.candidate) < DUBIOUS for entry in self.found):
                extra *= DUBIOUS_SHARE
            if now - self._first > extra:
                self.stop_reason = "patches that pass were found"
        elif self.partial and not self._all_or_nothing:
            share = ALL_REACHED_SHARE if self._all_reached else SOME_SHARE
            if self.request.remaining() < (1.0 - share) * self.request.budget_s:
                self.stop_reason = PART
        return bool(self.stop_reason)

    def _source(self, candidates: Iterator[Candidate]) -> Iterator[Optional[Job]]:
        """Jobs in order; yields None while nothing is ready but tries are under way."""
        for candidate in candidates:
            yield from self._queued()
            job = self._prepare(candidate)
            if job is None:
                continue
            if job.stage == "fresh" and self.trial is not None:
                self._later(job)
            else:
                yield job
        while True:
            yield from self._queued()
            if self._fresh_queue:
                yield heapq.heappop(self._fresh_queue)[2]
            elif self._late:
                level, _, _, job = heapq.heappop(self._late)
                yield Job(job.candidate, "fast", level, code=job.code)
            else:
                yield None

    def _queued(self) -> Iterator[Job]:
        while self._again:
            job = self._again.pop(0)
            job.stage = "fresh" if self.trial is None else job.stage
            yield job
        while self._fresh_queue and not self.fresh.pending() and self._fresh_affordable():
            yield heapq.heappop(self._fresh_queue)[2]

    def _later(self, job: Job) -> None:
        self._put_off += 1
        heapq.heappush(self._fresh_queue, (-job.candidate.score, self._put_off, job))

    def _fresh_affordable(self) -> bool:
        return self._fresh_spent <= FRESH_SHARE * (time.monotonic() - self._began) * self.pool.size

    def _prepare(self, candidate: Candidate) -> Optional[Job]:
        """Drop what does not compile or does the same as another candidate."""
        unit = candidate.unit
        code = None
        try:
            if unit is not None and self._inside(candidate):
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
        stage = "fresh" if candidate.fresh or self.trial is None else "fast"
        return Job(candidate, stage, code=code)

    @staticmethod
    def _inside(candidate: Candidate) -> bool:
        """Whether only the body of the unit changes, so that live code can be swapped."""
        source, unit = candidate.source, candidate.unit
        assert unit is not None
        body = source.body_start(unit)
        line = source.line_starts[unit.node.body[0].lineno - 1]
        start = line if not source.text[line:body].strip() else body
        return all(edit.start >= start for edit in candidate.edits)

    def _start(self, jobs: list[Job]) -> None:
        job = jobs[0]
        if len(jobs) > 1:
            self._start_batch(jobs)
            return
        if job.stage == "fresh":
            seconds = self._fresh_limit()
            run = self.arguments.failing_run(job.candidate)
            self.fresh.ask(job, run, Limits(seconds, 3 * seconds))
            return
        assert self.trial is not None
        order = self.plan.order(job.candidate.covering)
        tests = order[0] + order[1]
        job.tests = len(tests)
        floor = FLOORS_S[job.level]
        trial, candidate, code, plan = self.trial, job.candidate, job.code, self.plan
        limits = Limits(floor + 1.0, plan.wall(tests, floor))
        self.pool.start(job, lambda: trial.run(candidate, code, plan, order, floor), limits)

    def _start_batch(self, jobs: list[Job]) -> None:
        assert self.trial is not None
        trial, plan, floor, batch = self.trial, self.plan, FLOORS_S[0], Batch(jobs)
        orders = [plan.order(job.candidate.covering) for job in jobs]
        wall = max(plan.wall(first + then, floor) for first, then in orders)
        limits = Limits(floor + 1.0, wall * len(jobs))
        self.pool.start(batch, lambda: trial.sift(batch, plan, orders, floor, wall), limits)

    def _fresh_limit(self) -> float:
        """Seconds for a fresh run: generous until one has ended by itself."""
        if self._fresh_seconds:
            return max(1.0, 4.0 * self._fresh_seconds + self.arguments.failing_seconds)
        return 3.0 + 4.0 * self.arguments.failing_seconds + 2.0 * self.arguments.collect_seconds

    def _collect(self, timeout: float) -> None:
        for job, outcome in self.pool.wait(timeout, (self.fresh.fileno(),)):
            if isinstance(job, Batch):
                self._judge_batch(job, outcome)
            else:
                self._judge(job, outcome)
        self._judge_fresh(0.0)
        now = time.monotonic()
        if now - self._told > 1.0:
            self._told = now
            self.on_progress(self.tried, len(self.found))

    def _judge_fresh(self, timeout: float) -> None:
        for job, outcome in self.fresh.answers(timeout):
            if isinstance(job, Job):
                self._judge(job, outcome)

    def _judge_batch(self, batch: Batch, outcome: Outcome) -> None:
        """Take what a shared fork rejected; all else is tried again, alone where the fork met more than a rejection."""
        self.cpu_s += outcome.cpu
        entries = batch.read()
        doubted = outcome.reply is False
        self._doubts += doubted or (outcome.reply is True and entries[-1][1] == WAITS)
        again = []
        for at, (job, state, test) in enumerate(entries):
            if state == REJECTED and not (doubted and at):
                self._judge(job, Outcome((KILLED, test, []), "", 0.0))
                continue
            job.alone = state != WAITS
            if state == HANGS or (job.alone and state != OTHERWISE and outcome.killed == "time"):
                self._judge(job, Outcome(None, "time", 0.0))
            else:
                again.append(job)
        self._again[:0] = again

    def _judge(self, job: Job, outcome: Outcome) -> None:
        self._count(job, outcome)
        if outcome.killed == "time" and job.stage == "fast" and job.level + 1 < len(FLOORS_S):
            entry = (job.level + 1, -job.candidate.score, self.tried, job)
            heapq.heappush(self._late, entry)
        if outcome.reply is None:
            if job.stage == "whole" and outcome.killed == "time" and not job.mended:
                # The suite took too long for a verdict; what the tries showed still holds.
                self.found.append(Found(job.candidate, job.seconds, job.tests))
            return
        verdict, detail = outcome.reply[:2]
        if verdict == NEEDS_FRESH:
            job.candidate.fresh = True
            self._later(Job(job.candidate, "fresh"))
        elif verdict == PLAUSIBLE:
            self._keep(job, outcome)
        elif verdict == PARTIAL:
            self._keep_partial(job, outcome)
        elif job.stage == "fast" and detail >= 0:
            self._killed(job, detail)

    def _count(self, job: Job, outcome: Outcome) -> None:
        self.cpu_s += outcome.cpu
        if job.stage == "whole":
            self.waiting.remove(job)
            self.validation_s += outcome.seconds
            return
        self.tried += 1
        if job.stage == "fresh":
            self._fresh_spent += outcome.seconds
            if outcome.reply is not None:
                self._fresh_seconds = max(self._fresh_seconds, outcome.seconds)

    def _keep_partial(self, job: Job, outcome: Outcome) -> None:
        """Remember a patch that repairs some failing tests and, as far as the try went, breaks none."""
        mended = outcome.reply[-1]
        if self.trial is not None and job.stage == "fast":
            mended = [self.trial.items[test].nodeid for test in mended]
            self._all_reached = self._all_reached or outcome.reply[1] < 0
        if len(self.partial) < MOST_PARTIAL and not self._all_or_nothing and not self._refused(job.candidate):
            self.partial.append(Found(job.candidate, outcome.seconds, job.tests, mended=tuple(mended)))

    def _settle_partial(self) -> None:
        """Of the patches for some of the failing tests, keep those that a run of the whole suite confirms."""
        candidates, self.partial = sorted(self.partial, key=merit)[:PARTIAL_RUNS], []
        seconds = 5.0 + 4.0 * self.arguments.run_seconds
        for entry in candidates:
            if self.request.remaining() < 1.0 or (self.partial and len(entry.mended) < len(self.partial[0].mended)):
                break
            run = self.arguments.whole_run(entry.candidate, entry.mended)
            self.fresh.ask(entry, run, Limits(seconds, min(2 * seconds, self.request.remaining())))
            outcome = self.fresh.wait_for(entry, min(2 * seconds, self.request.remaining()))
            if outcome is None:
                break
            self.validation_s += outcome.seconds
            self.cpu_s += outcome.cpu
            if outcome.reply is not None and outcome.reply[0] == PLAUSIBLE:
                entry.tests, entry.whole = outcome.reply[1], True
                left = set(self.arguments.failing_ids + self.arguments.must_load) - set(entry.mended)
                entry.still_failing = tuple(sorted({*left, *outcome.reply[2]}))
                self.partial.append(entry)

    def _refused(self, candidate: Candidate) -> bool:
        """Whether this edit is already known not to work."""
        return bool(self.request.skip) and hashlib.sha256(edited(candidate).encode()).hexdigest() in self.request.skip

    def _killed(self, job: Job, test: int) -> None:
        if self._needs_others(test):
            self._again.append(Job(job.candidate, job.stage, job.level, code=job.code))
        else:
            self.plan.killed_by(test)

    def _needs_others(self, test: int) -> bool:
        """Whether a test ends differently without the tests before it; checked once per test."""
        if test in self._checked or self.trial is None:
            return False
        self._checked.add(test)
        trial, seconds = self.trial, 2.0 + 4.0 * self.plan.seconds.get(test, 0.0)
        temp = os.path.join(self.request.temp, "alone")
        os.makedirs(temp, exist_ok=True)
        pool = Pool(1, temp)
        pool.start(None, lambda: trial.alone(test), Limits(seconds, 2.0 * seconds))
        done: list[Any] = []
        while not done:
            done = pool.wait(1.0)
        reply = done[0][1].reply
        if reply is None or tuple(reply) == self.plan.expected.get(test):
            return False
        self.plan.drop(test)
        if not self.plan.failing:
            self.trial = None
        return True

    def _keep(self, job: Job, outcome: Outcome) -> None:
        """A try passed: the whole suite in a fresh process has the last word."""
        candidate = job.candidate
        if self._refused(candidate):
            return
        if not self.found:
            self._first = time.monotonic()
        if job.stage == "whole":
            failing = tuple(sorted(outcome.reply[2]))
            self.found.append(Found(candidate, job.seconds, outcome.reply[1], whole=True, still_failing=failing))
            return
        seconds = 5.0 + 4.0 * self.arguments.run_seconds
        if self.arguments.run_seconds > self.request.remaining():
            self.found.append(Found(candidate, outcome.seconds, job.tests))
            return
        whole = Job(candidate, "whole", tests=job.tests, seconds=outcome.seconds)
        self.fresh.ask(whole, self.arguments.whole_run(candidate), Limits(seconds, 2 * seconds))
        self.waiting.append(whole)

    def _drain(self) -> None:
        """Wait for whole runs under way; what can't be finished counts as partly passed."""
        while self.waiting and self.request.remaining() > 1.0:
            self._judge_fresh(0.5)
        for job in self.waiting:
            if not any(entry.whole for entry in self.found):
                self.found.append(Found(job.candidate, job.seconds, job.tests))
