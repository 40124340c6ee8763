"""Fresh runs: a whole pytest in a child that has imported nothing of the program yet.

Edits at module level, of defaults and of decorators need it, and so does the final verdict on a patch. The
process that has collected nothing serves; the searching process asks. It ranks nothing.
"""

from __future__ import annotations

import marshal
import os
import select
import socket
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, fields, replace
from typing import Any, Callable, Optional

from rolecall_search.runtime.hosting import FAILED, PASSED, Host, host
from rolecall_search.runtime.isolate import Limits, Outcome, Pool, complete, decode, send
from rolecall_search.trials.live import Overrides, override_imports
from rolecall_search.trials.validate import KILLED, PARTIAL, PLAUSIBLE

MOST_DISAPPOINTED = 3
FRESH = "--fresh"
"""Argument of a process that makes a single run."""
START_SCRIPT = os.path.join(os.path.dirname(__file__), "..", "..", "start_search.py")


class _Objection(BaseException):
    """Ends a fresh run at the first test that objects."""


@dataclass
class FreshRun:
    """One requested run: the edited texts, pytest's arguments and the required outcome."""

    overrides: Overrides
    test_args: tuple[str, ...]
    must_pass: tuple[str, ...]
    must_load: tuple[str, ...]
    hoped: tuple[str, ...] = ()
    """Failing tests of which some must pass."""
    may_fail: tuple[str, ...] = ()
    """Known failures; any other counts as an objection."""
    left_out: tuple[str, ...] = ()
    reseeded: bool = False
    """In an interpreter of its own, where sets have another order than where the patch was found."""

    def run(self) -> tuple[str, int, list[str], list[str]]:
        """Run pytest; returns the verdict, how many tests passed, which failed, and which of the hoped ones passed.

        Raises:
            EOFError: The interpreter ended without an answer.
        """
        if self.reseeded:
            return self._in_another_interpreter()
        override_imports(self.overrides)
        plugin = Host(None)
        plugin.left_out = frozenset(self.left_out)
        plugin.on_finish = self._watch()
        try:
            host(plugin, self.test_args)
        except _Objection:
            return KILLED, 0, [], []
        return self._judge(plugin)

    def _in_another_interpreter(self) -> tuple[str, int, list[str], list[str]]:
        seed = os.environ.get("PYTHONHASHSEED", "")
        env = {**os.environ, "PYTHONHASHSEED": str(int(seed) + 1) if seed.isdecimal() else "1"}
        argv = [sys.executable, "-B", START_SCRIPT, FRESH]
        request = marshal.dumps(replace(self, reseeded=False).packed())
        pipe, data, chunk = subprocess.PIPE, b"", b"?"
        with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=env) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(request)
            process.stdin.close()
            # Not to the end: what a test left running may keep the pipe open.
            while chunk and not complete(data):
                chunk = os.read(process.stdout.fileno(), 1 << 20)
                data += chunk
        reply, _ = decode(data)
        if reply is None:
            raise EOFError
        verdict, passed, failed, mended = reply
        return verdict, passed, failed, mended

    def packed(self) -> tuple[Any, ...]:
        """The fields, as another process gets them."""
        return tuple(getattr(self, field.name) for field in fields(self))

    def _watch(self) -> Callable[[str, str], None]:
        wanted, hoped = frozenset(self.must_pass), frozenset(self.hoped)
        seen = {PASSED: 0, FAILED: 0}

        def finish(nodeid: str, outcome: str) -> None:
            if outcome != PASSED and nodeid in wanted:
                raise _Objection
            if nodeid in hoped:
                seen[PASSED if outcome == PASSED else FAILED] += 1
                if seen[FAILED] >= MOST_DISAPPOINTED and not seen[PASSED]:
                    raise _Objection

        return finish

    def _judge(self, plugin: Host) -> tuple[str, int, list[str], list[str]]:
        got = plugin.outcomes
        passed = sum(1 for outcome in got.values() if outcome == PASSED)
        failed = [nodeid for nodeid, outcome in got.items() if outcome == FAILED] + list(plugin.collect_errors)
        mended = [nodeid for nodeid in self.hoped if got.get(nodeid) == PASSED]
        lost = self._lost(got)
        unloaded = any(nodeid in plugin.collect_errors for nodeid in self.must_load)
        known = frozenset((*self.may_fail, *self.hoped))
        loaded = tuple(nodeid.split("::")[0] for nodeid in self.must_load)
        empty = self.must_load and not any(nodeid.split("::")[0] in loaded for nodeid in got)
        verdict = PLAUSIBLE if len(mended) == len(self.hoped) else PARTIAL
        if lost or unloaded or empty or set(failed) - known or (self.hoped and not mended):
            verdict = KILLED
        return verdict, passed, failed, mended

    def _lost(self, got: dict[str, str]) -> bool:
        """Whether a test that must pass did not; those with a time or an address in their ids count by function."""
        if any(got.get(nodeid, PASSED) != PASSED for nodeid in self.must_pass):
            return True
        known = {*self.must_pass, *self.may_fail, *self.hoped}
        gone = Counter(nodeid.partition("[")[0] for nodeid in self.must_pass if nodeid not in got)
        new = (nodeid for nodeid, outcome in got.items() if outcome == PASSED and nodeid not in known)
        return bool(gone - Counter(nodeid.partition("[")[0] for nodeid in new))


def serve(asked: socket.socket, pool: Pool, alive: Any) -> None:
    """Answer requests until the searching process ends."""
    buffer = b""
    while alive():
        for job, outcome in pool.wait(0.2, (asked.fileno(),)):
            send(asked.fileno(), (job, outcome.reply, outcome.killed, outcome.seconds, outcome.cpu))
        if not select.select([asked.fileno()], [], [], 0)[0]:
            continue
        chunk = asked.recv(1 << 20)
        if not chunk:
            break
        buffer += chunk
        while complete(buffer):
            value, buffer = decode(buffer)
            _begin(pool, value)
    pool.stop()


def _begin(pool: Pool, value: Any) -> None:
    number, args, limits = value
    pool.start(number, FreshRun(*args).run, Limits(*limits))


class FreshClient:
    """The searching process's side of the conversation."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._jobs: dict[int, Any] = {}
        self._count = 0
        self._buffer = b""
        self._kept: list[tuple[Any, Outcome]] = []

    def fileno(self) -> int:
        """For select."""
        return self._link.fileno()

    def pending(self) -> int:
        """How many runs are under way."""
        return len(self._jobs)

    def ask(self, job: Any, run: FreshRun, limits: Limits) -> None:
        """Ask for a run; the answer carries `job`."""
        self._count += 1
        self._jobs[self._count] = job
        send(self._link.fileno(), (self._count, run.packed(), (limits.cpu, limits.wall)))

    def answers(self, timeout: float) -> list[tuple[Any, Outcome]]:
        """The answers that have come, waiting at most `timeout` seconds for the first."""
        kept, self._kept = self._kept, []
        return kept or self._read(timeout)

    def _read(self, timeout: float) -> list[tuple[Any, Outcome]]:
        if not select.select([self._link], [], [], timeout)[0]:
            return []
        self._buffer += self._link.recv(1 << 20)
        done = []
        value, self._buffer = decode(self._buffer)
        while value is not None:
            number, *outcome = value
            done.append((self._jobs.pop(number), Outcome(*outcome)))
            value, self._buffer = decode(self._buffer)
        return done

    def wait_for(self, job: Any, timeout: float) -> Optional[Outcome]:
        """Wait for one run; others that end meanwhile are kept for later requests."""
        until = time.monotonic() + timeout
        while True:
            for at, (known, outcome) in enumerate(self._kept):
                if known == job:
                    del self._kept[at]
                    return outcome
            left = until - time.monotonic()
            if left <= 0:
                return None
            self._kept += self._read(left)
