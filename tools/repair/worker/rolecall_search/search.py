"""The loop of the search: take candidates, try them on the available cores, keep what passes.

Owns the budget and what became of each try. Ranking of what passes is elsewhere.
"""

from __future__ import annotations

import hashlib
import math
import os
import time
from dataclasses import dataclass, field
from typing import Callable, Iterator, Optional

from rolecall_search.candidates import Candidate
from rolecall_search.ranking.overfit import DUBIOUS, cost
from rolecall_search.ranking.rank import score_of_text
from rolecall_search.runtime.isolate import Limits, Outcome, Pool, run_apart
from rolecall_search.runtime.protocol import Request
from rolecall_search.trials.batch import HANGS, OTHERWISE, REJECTED, WAITS, Batch, Job
from rolecall_search.trials.fresh import FreshClient
from rolecall_search.trials.job_queue import JobQueue
from rolecall_search.trials.jobs import Arguments, Found, edited, merit
from rolecall_search.trials.validate import CROWDED_S, KILLED, NEEDS_FRESH, PARTIAL, PLAUSIBLE, Plan, Trial

FLOORS_S = (0.08, 0.8, 5.0)
ENOUGH = 24
SHORT_WAIT, LONG_WAIT = (1.0, 0.4), (2.0, 0.6)
"""Least seconds, and share of those spent: the long one while something waits that scores more than what was found."""
LONGEST_WAIT_S = 12.0
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
    queue: JobQueue = field(init=False)
    _doubts: int = 0
    _all_reached: bool = False
    _all_or_nothing: bool = False
    _checked: set[int] = field(default_factory=set)
    _fresh_spent: float = 0.0
    _began: float = 0.0
    _first: float = 0.0
    _told: float = 0.0
    _fresh_seconds: float = 0.0

    def run(self, candidates: Iterator[Candidate], reserve: float) -> None:
        """Search until enough is found, nothing is left, or the budget is near its end."""
        self._began = self._first = time.monotonic()
        self.queue = JobQueue(candidates, self._fresh_affordable, forks=self.trial is not None)
        self._until_enough(reserve)
        if self.found:
            return
        self._settle_partial()
        if not self.partial and self.stop_reason == PART:
            # None of them stood the whole suite: the time that is left belongs to the rest of the candidates.
            self.stop_reason, self._all_or_nothing = "", True
            self._until_enough(reserve)

    def _until_enough(self, reserve: float) -> None:
        exhausted = False
        while not self._over(reserve):
            while self._free() > 0 and not exhausted:
                jobs = self._take()
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

    def _take(self) -> list[Job]:
        """The next job, or several that can share a fork."""
        jobs: list[Job] = []
        seconds = 0.0
        while len(jobs) < min(MOST_SHARING, 1 + self.tried) and seconds < SHARED_S:
            job = self.queue.take()
            if job is None:
                break
            alone = job.alone or job.stage == "fresh" or job.level > 0 or self._doubts > MOST_DOUBTS
            alone = alone or self.trial is None or self.trial.state.hidden
            seconds += math.inf if alone else self.plan.gate_seconds(self.plan.order(job.candidate.covering))
            if jobs and seconds > SHARED_S:
                self.queue.put_back([job])
                break
            jobs.append(job)
        return jobs

    def _fresh_affordable(self) -> bool:
        spent = self._fresh_spent <= FRESH_SHARE * (time.monotonic() - self._began) * self.pool.size
        return spent and not self.fresh.pending()

    def _free(self) -> int:
        return self.pool.free() - self.fresh.pending()

    def _over(self, reserve: float) -> bool:
        now = time.monotonic()
        if self.request.remaining() <= reserve:
            self.stop_reason = "the time budget is spent"
        elif len(self.found) >= ENOUGH:
            self.stop_reason = "enough patches pass"
        elif self.found:
            if now - self._first > self._wait_for_rivals():
                self.stop_reason = "patches that pass were found"
        elif self.partial and not self._all_or_nothing:
            share = ALL_REACHED_SHARE if self._all_reached else SOME_SHARE
            if self.request.remaining() < (1.0 - share) * self.request.budget_s:
                self.stop_reason = PART
        return bool(self.stop_reason)

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
        wall = plan.wall(tests, floor)
        limits = Limits(floor + 1.0, wall, wall - CROWDED_S)
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

    def _wait_for_rivals(self) -> float:
        """Seconds that the search goes on after the first patch that passes: fewer once nothing left may rank above."""
        best = max(entry.merit for entry in self.found)
        left = max([self.queue.best_left(), *(entry.candidate.score for entry in self.waiting)])
        least, share = LONG_WAIT if left > best else SHORT_WAIT
        seconds = min(LONGEST_WAIT_S, max(least, share * (self._first - self._began)))
        return seconds * (DUBIOUS_SHARE if all(entry.dubious for entry in self.found) else 1.0)

    def _add(self, entry: Found) -> None:
        taken = cost(entry.candidate)
        entry.merit, entry.dubious = score_of_text(entry, taken), taken < DUBIOUS
        self.found.append(entry)

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
        self.queue.put_back(again)

    def _judge(self, job: Job, outcome: Outcome) -> None:
        self._count(job, outcome)
        if outcome.killed == "time" and job.stage == "fast" and job.level + 1 < len(FLOORS_S):
            self.queue.try_longer(job)
        if outcome.reply is None:
            if job.stage == "whole" and outcome.killed == "time" and not job.mended:
                # The suite took too long for a verdict; what the tries showed still holds.
                self._add(Found(job.candidate, job.seconds, job.tests))
            return
        verdict, detail = outcome.reply[:2]
        if verdict == NEEDS_FRESH:
            job.candidate.fresh = True
            self.queue.try_fresh(Job(job.candidate, "fresh"))
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
            self.queue.try_again(Job(job.candidate, job.stage, job.level, code=job.code))
        else:
            self.plan.killed_by(test)

    def _needs_others(self, test: int) -> bool:
        """Whether a test ends differently without the tests before it; checked once per test."""
        if test in self._checked or self.trial is None:
            return False
        self._checked.add(test)
        trial, seconds = self.trial, 2.0 + 4.0 * self.plan.seconds.get(test, 0.0)
        temp = os.path.join(self.request.temp, "alone")
        reply = run_apart(lambda: trial.alone(test), Limits(seconds, 2.0 * seconds), temp).reply
        if reply is None or tuple(reply) == self.plan.expected.get(test):
            return False
        self.plan.drop(test)
        if not self.plan.failing:
            self.trial = None
            self.queue.forks = False
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
            self._add(Found(candidate, job.seconds, outcome.reply[1], whole=True, still_failing=failing))
            return
        seconds = 5.0 + 4.0 * self.arguments.run_seconds
        if self.arguments.run_seconds > self.request.remaining():
            self._add(Found(candidate, outcome.seconds, job.tests))
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
                self._add(Found(job.candidate, job.seconds, job.tests))
