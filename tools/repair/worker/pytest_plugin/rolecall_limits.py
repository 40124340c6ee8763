"""How long a test may take, and the timer that ends a hanging one; for the plugin of pytest and for unittest.

It runs in the repository's interpreter, which may be old and has none of our libraries. What it reports goes into the
output between two control characters; the reader strips it out again.
"""

import contextlib
import faulthandler
import json
import os
import signal
import threading
import time

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


class Limits:
    """The limits of one run of tests."""

    def __init__(self, end):
        """Args: what ends a hanging test, called with a text."""
        self.end = end
        self.longest = 0.0
        self.ended = 0
        self.hung_at = None
        self.armed = 0.0
        self.begun = 0.0

    def limit(self, *, importing=False, patient=False):
        """Seconds for what starts now."""
        if FIRST_S:
            return FIRST_S
        if self.hung_at is not None:
            return max(FURTHER_S, 10 * self.longest)
        if importing:
            return IMPORT_S * crowded()
        if patient:
            return SLOW_SUITE_S
        if max(self.longest, KNOWN_S) >= SHORT_S:
            return max(SLOW_SUITE_S, 20 * max(self.longest, KNOWN_S))
        return (HANGS_AFTER_S if self.ended or KNOWN_S else UNKNOWN_S) * crowded()

    @contextlib.contextmanager
    def importing(self, name):
        """Time the import of a file."""
        tell(importing=name)
        self.arm(self.limit(importing=True))
        try:
            yield
        finally:
            self.disarm()
            tell(imported=True)

    def test_begins(self, name, *, patient=False):
        """Give a test its time; after a hang, the others get little."""
        tell(test=name)
        self.begun = time.time()
        self.arm(self.limit(patient=patient))

    def test_ends(self):
        """End the time of a test; whether so many hang that the others need not be run."""
        self.disarm()
        if self.hung_at is None:
            self.ended += 1
            self.longest = max(self.longest, time.time() - self.begun)
        return self.hung_at is not None and time.time() - self.hung_at > FURTHER_ALL_S

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
        self.end("it was still running after %g s and was stopped here" % self.armed)

    def session_ends(self, code):
        """Say that the tests ended, and how long the longest took."""
        tell(ending=code, longest=0.0 if self.hung_at else self.longest)

    def process_ends(self):
        """End the interpreter if it does not exit by itself."""
        # A thread that never ends would keep the interpreter for ever.
        self.disarm()
        faulthandler.dump_traceback_later(EXIT_S, exit=True, file=TOLD)
