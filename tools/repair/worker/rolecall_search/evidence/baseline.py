"""The program as it is: which tests pass and fail, how long they take and which lines they run.

Owns the plain run and the traced ones, all in forked children. It ranks nothing.
"""

from __future__ import annotations

import os
import select
import signal
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Iterator, Optional

from rolecall_search.runtime.hosting import FAILED, PASSED, Host, TimeLimit, no_text
from rolecall_search.runtime.isolate import Limits, decode, kill_group, run_child, send
from rolecall_search.runtime.tracing import Lines, make_tracer

DIED = "the interpreter exited"
FIRST_LIMIT_S = 2.0
SHORT_LIMIT_S = 0.6
SHORTEST_LIMIT_S = 0.25
STALL_S = 2.0
CONTROL_LIMIT_S = 12.0
HANG_LIMIT_S = 3.0
# Ends of the phases, as shares of what the whole may take.
PLAIN_SHARE, HANGS_SHARE, FAILING_SHARE = 0.6, 0.7, 0.85
TRACING_SHARE, SAMPLE_SHARE = 0.4, 0.25
TRACE_SLOWS = 4.0


@dataclass
class TestRun:
    """One test in one run."""

    index: int
    nodeid: str
    outcome: str
    seconds: float
    frames: list[tuple[str, int]] = field(default_factory=list)
    error: str = ""
    message: str = ""
    hang: bool = False
    lines: Lines = field(default_factory=dict)
    handled: list[str] = field(default_factory=list)
    traced: bool = False
    """Whether its lines are known; time may have run out first."""
    unsteady: bool = False
    """Its two runs ended differently, or it is too slow for a fork: only fresh processes judge it."""

    def took(self, lines: Lines) -> None:
        """Store the lines that it ran."""
        self.lines, self.traced = lines, True


@dataclass
class Baseline:
    """What the tests do before any edit."""

    tests: list[TestRun] = field(default_factory=list)
    complete: bool = True
    aside: list[str] = field(default_factory=list)
    """Failures that no edit of the program can repair: any claim about a patch has to name them."""

    def failing(self) -> list[TestRun]:
        """The tests to repair."""
        return [test for test in self.tests if test.outcome == FAILED]

    def passing(self) -> list[TestRun]:
        """The tests to keep passing."""
        return [test for test in self.tests if test.outcome == PASSED]


class Stream:
    """A forked child that sends many values; the parent reads them as they come."""

    def __init__(self, work: Callable[[Callable[[Any], None]], None], temp: str) -> None:
        self._fd, write_fd = os.pipe()
        self.ended = False
        os.makedirs(temp, exist_ok=True)
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._fd)
            limits = Limits(cpu=3600.0, wall=3600.0)
            run_child(lambda: work(lambda value: send(write_fd, value)), write_fd, limits, temp)
        os.close(write_fd)

    def read(self, stall: float, until: float) -> Iterator[Any]:
        """Yield values until the child ends, is silent for `stall` seconds, or time is up."""
        buffer = b""
        while True:
            pause = min(stall, until - time.monotonic())
            ready, _, _ = select.select([self._fd], [], [], max(0.0, pause))
            chunk = os.read(self._fd, 1 << 20) if ready else b""
            if not chunk:
                self.ended = bool(ready)
                return
            buffer += chunk
            value, buffer = decode(buffer)
            while value is not None:
                yield value
                value, buffer = decode(buffer)

    def close(self) -> None:
        """Kill the child if it is still running."""
        os.close(self._fd)
        kill_group(self._pid)
        os.waitpid(self._pid, 0)


def next_limit(limit: float, hangs: int) -> float:
    """Seconds for the next test: the more tests hang, the less patience for the others."""
    if hangs == 0:
        return limit
    return min(limit, SHORT_LIMIT_S if hangs < 4 else SHORTEST_LIMIT_S)


@dataclass
class Runner:
    """Runs collected tests in children and reads their verdicts."""

    host: Host
    items: list[Any]
    temp: str
    wanted: Callable[[str], bool]

    def run(
        self,
        order: list[int],
        *,
        traced: bool,
        limit: float,
        until: float,
        whole: Optional[int] = None,
        only: frozenset[tuple[str, int]] = frozenset(),
    ) -> tuple[list[TestRun], bool]:
        """Run tests in `order`; returns the runs and whether the end was reached.

        After the first `whole` tests just the functions are traced that contain a line of theirs or of `only`, which
        costs less.

        A child that hangs inside C code is killed, its test counts as hanging, and a new child
        runs the rest.
        """
        done: list[TestRun] = []
        while len(done) < len(order):
            rest = order[len(done) :]
            limit_now = next_limit(limit, sum(run.hang for run in done))
            left = None if whole is None else max(0, whole - len(done))
            work = self._work(rest, limit_now, traced, left, only | _places(done[:whole]))
            stream = Stream(work, os.path.join(self.temp, "base"))
            got = [unpack(value) for value in stream.read(limit_now + STALL_S, until) if value]
            stream.close()
            done += got
            if time.monotonic() >= until:
                return done, len(done) == len(order)
            if len(got) < len(rest) and not (got and got[-1].hang):
                index = rest[len(got)]
                nodeid = self.items[index].nodeid
                error = DIED if stream.ended else ""
                done.append(TestRun(index, nodeid, FAILED, limit_now, error=error, hang=True))
        return done, True

    def lines_until_the_end(self, index: int, limit: float) -> Lines:
        """The lines a test runs before it crashes the interpreter, or hangs where nothing can stop it."""

        def work(reply: Callable[[Any], None]) -> None:
            make_tracer(self.wanted, lambda name, line: reply((name, line))).start()
            self._one(index, None, limit)

        stream = Stream(work, os.path.join(self.temp, "base"))
        found: Lines = {}
        for value in stream.read(limit, time.monotonic() + limit + STALL_S):
            if value:
                found.setdefault(value[0], []).append(value[1])
        stream.close()
        return found

    def _work(
        self,
        order: list[int],
        limit: float,
        traced: bool,  # noqa: FBT001
        whole: Optional[int],
        only: frozenset[tuple[str, int]],
    ) -> Callable[[Callable[[Any], None]], None]:
        def work(reply: Callable[[Any], None]) -> None:
            tracer = make_tracer(self.wanted) if traced else None
            chosen = only
            if tracer is not None:
                tracer.start()
                self.host.watch = lambda on: tracer.resume() if on else tracer.pause()
                tracer.pause()
            for at, index in enumerate(order):
                following = order[at + 1] if at + 1 < len(order) else None
                if tracer is not None and at == whole:
                    tracer.only(chosen)
                run = self._one(index, following, limit)
                if tracer is not None:
                    run.lines = tracer.take()
                    chosen |= _places([run]) if whole is not None and at < whole else frozenset()
                reply(pack(run))
                if run.hang:
                    return

        return work

    def _one(self, index: int, following: Optional[int], limit: float) -> TestRun:
        item = self.items[index]
        item.repr_failure = no_text
        signal.signal(signal.SIGALRM, _alarm)
        signal.setitimer(signal.ITIMER_REAL, limit, 0.2)
        try:
            verdict = self.host.run(item, None if following is None else self.items[following])
        except TimeLimit:
            return TestRun(index, item.nodeid, FAILED, limit, hang=True)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        frames = verdict.frames[-60:]
        return TestRun(
            index, item.nodeid, verdict.outcome, verdict.seconds, frames,
            verdict.error, verdict.message, verdict.hang, handled=verdict.handled,
        )  # fmt: skip


def measure(runner: Runner, budget: float) -> Baseline:
    """Run everything untraced, then the failing and the passing tests again with the tracer.

    Tracing gets a share of the budget (seconds); passing tests it does not reach have no lines.
    """
    begun = time.monotonic()
    order = list(range(len(runner.items)))
    until = begun + PLAIN_SHARE * budget
    runs, complete = runner.run(order, traced=False, limit=FIRST_LIMIT_S, until=until)
    if not complete and all(run.outcome != FAILED for run in runs):
        # What fails stands at the end of a long suite: without it there is nothing to search for.
        rest, complete = runner.run(order[len(runs) :], traced=False, limit=FIRST_LIMIT_S, until=begun + budget)
        runs += rest
    baseline = Baseline(runs, complete)
    known = {run.index: run for run in runs}
    slow = [run.index for run in runs if run.hang]
    for run in _confirm_hangs(runner, slow, begun + HANGS_SHARE * budget):
        _second(known[run.index], run)
    if not baseline.failing():
        return baseline
    _trace(runner, baseline, begun, budget)
    return baseline


def _trace(runner: Runner, baseline: Baseline, begun: float, budget: float) -> None:
    """Trace in the tests' own order if time allows, otherwise the most important first."""
    known = {run.index: run for run in baseline.tests}
    failing = sorted(baseline.failing(), key=lambda run: (run.hang, run.seconds))
    passing = sorted(baseline.passing(), key=lambda run: run.seconds)
    total = sum(run.seconds for run in baseline.tests)
    if TRACE_SLOWS * total < TRACING_SHARE * budget and not any(run.hang for run in failing):
        order = [run.index for run in (*baseline.failing(), *baseline.passing())]
        # Lines that no failing test runs are not suspicious, whoever else runs them.
        whole = len(baseline.failing())
        for run in runner.run(order, traced=True, limit=CONTROL_LIMIT_S, until=begun + budget, whole=whole)[0]:
            known[run.index].took(run.lines)
            _second(known[run.index], run)
        return
    until = begun + FAILING_SHARE * budget
    ended = [run.index for run in failing if not run.hang]
    endless = [run.index for run in failing if run.hang]
    again = runner.run(ended, traced=True, limit=FIRST_LIMIT_S, until=until)[0]
    again += runner.run(endless, traced=True, limit=SHORT_LIMIT_S, until=until)[0]
    for run in again:
        known[run.index].took(run.lines)
        _second(known[run.index], run)
    for run in failing:
        if run.hang and not run.lines and time.monotonic() < until:
            run.lines = runner.lines_until_the_end(run.index, SHORT_LIMIT_S)
    until = min(begun + budget, time.monotonic() + SAMPLE_SHARE * budget)
    rest = [run.index for run in passing]
    for run in runner.run(rest, traced=True, limit=CONTROL_LIMIT_S, until=until, whole=0, only=_places(failing))[0]:
        known[run.index].took(run.lines)


def _places(runs: list[TestRun]) -> frozenset[tuple[str, int]]:
    """The lines that any of the tests ran, each with its file."""
    return frozenset((name, line) for run in runs for name, lines in run.lines.items() for line in lines)


def _second(first: TestRun, again: TestRun) -> None:
    """Take over the outcome of a test's second run."""
    if again.outcome != first.outcome and not (first.outcome == PASSED and again.hang):
        if first.hang and again.outcome == PASSED:
            first.outcome = PASSED  # it only needed more time
        first.unsteady = True
    if again.outcome != FAILED or not again.hang:
        first.hang = False
        first.seconds = min(first.seconds, again.seconds)
    if again.outcome == FAILED and not again.hang and not first.error:
        first.frames, first.error, first.message = again.frames, again.error, again.message
        first.handled = again.handled


def _confirm_hangs(runner: Runner, slow: list[int], until: float) -> list[TestRun]:
    """Give one slow test plenty of time; only if it ends do the others get as much."""
    if not slow:
        return []
    first, _ = runner.run(slow[:1], traced=False, limit=HANG_LIMIT_S, until=until)
    ended = any(not run.hang for run in first)
    if not ended:
        return first
    return first + runner.run(slow[1:], traced=False, limit=CONTROL_LIMIT_S, until=until)[0]


def _alarm(number: int, frame: object) -> None:
    raise TimeLimit


def pack(run: TestRun) -> tuple[Any, ...]:
    """A run as a marshallable value."""
    return (
        run.index, run.nodeid, run.outcome, run.seconds, run.frames,
        run.error, run.message, run.hang, run.lines, run.handled,
    )  # fmt: skip


def unpack(value: Any) -> TestRun:
    """The inverse of `pack`."""
    return TestRun(*value)
