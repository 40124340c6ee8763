"""A pytest plugin for a repository's checks: reports the running test, and ends a hanging one with its stack.

Owns the time a test may take. It runs in the repository's interpreter, which may be old and has none of our libraries.
What it reports goes into the output between two control characters; the reader strips it out again.
"""

import contextlib
import faulthandler
import json
import os
import signal
import sys
import threading
import time

import pytest

TOLD = os.dup(2)
FIRST_S = float(os.environ.get("ROLECALL_TEST_LIMIT_S") or 0.0)
KNOWN_S = float(os.environ.get("ROLECALL_TEST_KNOWN_S") or 0.0)
HANGS_AFTER_S = 12.0  # where all tests before took less than SHORT_S
UNKNOWN_S = 16.0  # where none did end yet
IMPORT_S = 22.0
SHORT_S = 1.5
SLOW_SUITE_S = 120.0
FURTHER_S, FURTHER_ALL_S = 2.0, 6.0
UNSTOPPABLE_S = 3.0
EXIT_S = 8.0
PATIENT = ("slow", "integration", "e2e", "network", "benchmark")


def tell(**fields):
    """Say something to whoever reads the output."""
    with contextlib.suppress(OSError):
        os.write(TOLD, b"\x1e" + json.dumps(dict(fields, pid=os.getpid())).encode() + b"\x1f")


def crowded():
    """How many times longer things take on an overloaded machine, in wall-clock time."""
    try:
        return max(1.0, min(3.0, os.getloadavg()[0] / (os.cpu_count() or 1)))
    except OSError:
        return 1.0


class Watch:
    """One run of pytest."""

    def __init__(self):
        self.longest = 0.0
        self.ended = 0
        self.hung_at = None
        self.armed = 0.0

    def limit(self, item=None):
        """Seconds for what starts now."""
        if FIRST_S:
            return FIRST_S
        if self.hung_at is not None:
            return max(FURTHER_S, 10 * self.longest)
        if item is None:
            return IMPORT_S * crowded()
        if any(item.get_closest_marker(name) for name in PATIENT):
            return SLOW_SUITE_S
        if max(self.longest, KNOWN_S) >= SHORT_S:
            return max(SLOW_SUITE_S, 20 * max(self.longest, KNOWN_S))
        return (HANGS_AFTER_S if self.ended or KNOWN_S else UNKNOWN_S) * crowded()

    def arm(self, limit):
        """Start the timer."""
        self.armed = limit
        if threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer"):
            signal.signal(signal.SIGALRM, self.stop)
            signal.setitimer(signal.ITIMER_REAL, limit, 1.0)
        faulthandler.dump_traceback_later(limit + UNSTOPPABLE_S, exit=True, file=TOLD)

    def disarm(self):
        """Stop the timer."""
        self.armed = 0.0
        if threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()

    def stop(self, number, frame):
        """End what takes too long, as a failure whose traceback shows where it is."""
        if not self.armed:
            return
        if self.hung_at is None:
            self.hung_at = time.time()
        pytest.fail("it was still running after %g s and was stopped here" % self.armed)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_load_initial_conftests(self):
        """Files that are imported first are timed too."""
        tell(importing="conftest.py")
        self.arm(self.limit())
        yield
        self.disarm()
        tell(imported=True)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_make_collect_report(self, collector):
        """So is every test module."""
        if not collector.nodeid.endswith(".py"):
            yield
            return
        tell(importing=collector.nodeid)
        self.arm(self.limit())
        yield
        self.disarm()
        tell(imported=True)

    def pytest_collection_finish(self, session):
        """Say how many tests there are."""
        tell(collected=len(session.items))

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item, nextitem):
        """Give a test its time limit, fixtures included; after a hang, the others get little."""
        tell(test=item.nodeid)
        self.arm(self.limit(item))
        begun = time.time()
        yield
        self.disarm()
        if self.hung_at is None:
            self.ended += 1
            self.longest = max(self.longest, time.time() - begun)
        elif time.time() - self.hung_at > FURTHER_ALL_S:
            item.session.shouldstop = "tests hang"

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session, exitstatus):
        """Say that the tests ended, and how long the longest took."""
        tell(ending=int(exitstatus), longest=0.0 if self.hung_at else self.longest)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self, config):
        """End the interpreter if it does not exit by itself."""
        # A thread that never ends would keep the interpreter for ever.
        self.disarm()
        faulthandler.dump_traceback_later(EXIT_S, exit=True, file=TOLD)

    def pytest_configure(self, config):
        """Keep out of programs that tests start."""
        if not (config.pluginmanager.hasplugin("xdist") and getattr(config.option, "numprocesses", None)):
            # Programs that tests start are no tests of the repository.
            os.environ.pop("PYTEST_ADDOPTS", None)


WATCH = Watch()
for _name in dir(WATCH):
    if _name.startswith("pytest_"):
        setattr(sys.modules[__name__], _name, getattr(WATCH, _name))
