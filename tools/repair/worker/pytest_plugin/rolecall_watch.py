"""A pytest plugin for a repository's checks: reports the running test, and ends a hanging one with its stack.

It runs in the repository's interpreter, which may be old and has none of our libraries. `rolecall_limits` owns the time
a test may take.
"""

import os
import sys

import pytest
from rolecall_limits import Limits, tell

PATIENT = ("slow", "integration", "e2e", "network", "benchmark")


class Watch:
    """One run of pytest."""

    def __init__(self):
        self.limits = Limits(pytest.fail)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_load_initial_conftests(self):
        """Files that are imported first are timed too."""
        with self.limits.importing("conftest.py"):
            yield

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_make_collect_report(self, collector):
        """So is every test module."""
        if not collector.nodeid.endswith(".py"):
            yield
            return
        with self.limits.importing(collector.nodeid):
            yield

    def pytest_collection_finish(self, session):
        """Say how many tests there are."""
        tell(collected=len(session.items))

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item, nextitem):
        """Give a test its time limit, fixtures included."""
        self.limits.test_begins(item.nodeid, patient=any(item.get_closest_marker(name) for name in PATIENT))
        yield
        if self.limits.test_ends():
            item.session.shouldstop = "tests hang"

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session, exitstatus):
        """Say that the tests ended, and how long the longest took."""
        self.limits.session_ends(int(exitstatus))

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self, config):
        """End the interpreter if it does not exit by itself."""
        self.limits.process_ends()

    def pytest_configure(self, config):
        """Keep out of programs that tests start."""
        if not (config.pluginmanager.hasplugin("xdist") and getattr(config.option, "numprocesses", None)):
            # Programs that tests start are no tests of the repository.
            os.environ.pop("PYTEST_ADDOPTS", None)


WATCH = Watch()
for _name in dir(WATCH):
    if _name.startswith("pytest_"):
        setattr(sys.modules[__name__], _name, getattr(WATCH, _name))
