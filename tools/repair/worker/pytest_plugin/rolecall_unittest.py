"""`python -m unittest` for a repository's checks: reports the running test, and ends a hanging one with its stack.

It runs in the repository's interpreter, which may be old and has none of our libraries. `rolecall_limits` owns the time
a test may take.
"""

import functools
import os
import sys
import unittest

from rolecall_limits import Limits, tell

__unittest = True  # as in unittest's own files: tracebacks leave these frames out


class StillRunningError(Exception):
    """Raised in a test that takes too long."""


def end(text):
    """End a hanging test."""
    raise StillRunningError(text)


LIMITS = Limits(end)


def timed_import(load):
    """Time the import of a test module."""

    @functools.wraps(load)
    def loading(self, name, *rest, **more):
        with LIMITS.importing(name):
            return load(self, name, *rest, **more)

    return loading


def timed_test(run):
    """Give a test its time limit."""

    @functools.wraps(run)
    def running(self, result=None):
        LIMITS.test_begins(self.id())
        try:
            return run(self, result)
        finally:
            if LIMITS.test_ends() and result is not None:
                result.stop()

    return running


def timed_set_up(set_up):
    """What a class or a module sets up first is timed with the test before which it does."""

    @functools.wraps(set_up)
    def setting_up(self, test, result):
        tell(importing=test.id())
        LIMITS.arm(LIMITS.limit())
        try:
            return set_up(self, test, result)
        finally:
            LIMITS.disarm()

    return setting_up


def watch():
    """Put the timers around what runs code of the repository."""
    for owner, name, timed in (
        (unittest.TestLoader, "_get_module_from_name", timed_import),
        (unittest.TestLoader, "loadTestsFromName", timed_import),
        (unittest.TestSuite, "_handleModuleFixture", timed_set_up),
        (unittest.TestSuite, "_handleClassSetUp", timed_set_up),
        (unittest.TestCase, "run", timed_test),
    ):
        setattr(owner, name, timed(getattr(owner, name)))


if __name__ == "__main__":
    sys.argv[0] = os.path.basename(sys.executable) + " -m unittest"
    # Programs that tests start are no tests of the repository.
    os.environ.pop("PYTEST_ADDOPTS", None)
    watch()
    code = 1
    try:
        unittest.main(module=None)
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(bool(ending.code))
        raise
    finally:
        LIMITS.session_ends(code)
        LIMITS.process_ends()
