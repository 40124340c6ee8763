"""pytest as a host: one collection, then the search runs in the loop hook.

Owns the command line given to pytest and the reading of reports. It decides nothing about repair.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import importlib.util
import os
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Optional

import pytest
from _pytest.config import default_plugins

COLLECT_LIMIT_S = 6.0
PASSED, FAILED, OTHER = "passed", "failed", "other"
NOT_WARMED = frozenset({"pytest_cov", "xdist"})
BASE_ARGS = (
    "-p", "no:cacheprovider", "-s", "-q", "--tb=native", "--assert=plain", "--maxfail=0",
    "--continue-on-collection-errors", "--color=no",
)  # fmt: skip
# Plug-ins that would start processes, measure, repeat or reorder.
NEUTRAL = {
    "xdist": ("-n0",),
    "pytest_cov": ("--no-cov",),
    "pytest_timeout": ("--timeout=0",),
    "pytest_randomly": ("-p", "no:randomly"),
    "random_order": ("-p", "no:random_order"),
    "pytest_sugar": ("-p", "no:sugar"),
    "pytest_rerunfailures": ("--reruns=0",),
    "pytest_benchmark": ("--benchmark-disable",),
}


class TimeLimit(BaseException):
    """Raised by the alarm inside a test that runs too long."""


@dataclass
class Verdict:
    """How one test ended, with the frames and the error of its failure."""

    outcome: str = OTHER
    seconds: float = 0.0
    frames: list[tuple[str, int]] = field(default_factory=list)
    error: str = ""
    message: str = ""
    hang: bool = False
    handled: list[str] = field(default_factory=list)


class Host:
    """A pytest plugin that hands the collected session to `loop`."""

    def __init__(self, loop: Optional[Callable[[Host, Any], None]]) -> None:
        self._loop = loop
        self.collect_errors: dict[str, list[tuple[str, int]]] = {}
        self.collect_types: dict[str, str] = {}
        self._reports: list[tuple[str, str, bool]] = []
        self._verdict = Verdict()
        self.outcomes: dict[str, str] = {}
        self.left_out: frozenset[str] = frozenset()
        """Names of tests that are not run."""
        self.on_import: Optional[Callable[[str], None]] = None
        self.on_finish: Optional[Callable[[str, str], None]] = None
        self.watch: Optional[Callable[[bool], None]] = None
        """Called with True before a test runs code that is not pytest's, and with False after it."""
        self._watched = 0

    @pytest.hookimpl(hookwrapper=True)
    def pytest_make_collect_report(self, collector: Any) -> Any:
        """Store the frames of a failed import."""
        outcome = yield
        report = outcome.get_result()
        if report.failed:
            info = getattr(getattr(report, "call", None), "excinfo", None)
            frames = traceback_frames(info.tb, info.value) if info is not None else []
            self.collect_errors[report.nodeid] = frames
            self.collect_types[report.nodeid] = root_error(info.value) if info is not None else ""

    def pytest_collectstart(self, collector: Any) -> None:
        """Each module gets its own time to be imported."""
        if self._loop is not None:
            if self.on_import is not None and collector.nodeid.endswith(".py"):
                self.on_import(collector.nodeid)
            signal.setitimer(signal.ITIMER_REAL, COLLECT_LIMIT_S)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Deselect what this run is not about."""
        if self.left_out:
            items[:] = [item for item in items if item.nodeid not in self.left_out]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: Any) -> Any:
        """Run the search instead of the tests, when there is one."""
        if self._loop is None:
            return None
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._loop(self, session)
        return True

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: Any, call: Any) -> Any:
        """Store the frames of a failing phase; pytest fills in those of unittest itself."""
        yield
        if call.excinfo is not None:
            verdict = self._verdict
            verdict.hang = verdict.hang or isinstance(call.excinfo.value, TimeLimit)
            verdict.frames = traceback_frames(call.excinfo.tb, call.excinfo.value)
            verdict.error = root_error(call.excinfo.value)
            verdict.message = safe_text(call.excinfo.value)
            verdict.handled = handled_errors(call.excinfo.value)

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_fixture_setup(self) -> Any:
        """Fixtures run code of the program."""
        yield from self._watching()

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_runtest_call(self) -> Any:
        """So does the test itself."""
        yield from self._watching()

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_runtest_teardown(self) -> Any:
        """And what ends fixtures."""
        yield from self._watching()

    def _watching(self) -> Any:
        watch, self._watched = self.watch, self._watched + 1
        if watch is not None and self._watched == 1:
            watch(True)  # noqa: FBT003
        yield
        self._watched -= 1
        if watch is not None and self._watched == 0:
            watch(False)  # noqa: FBT003

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Collect the phases of the running test, sub-tests included."""
        self._reports.append((report.when, report.outcome, hasattr(report, "wasxfail")))
        if self._loop is None:
            self._follow(report)

    def _follow(self, report: Any) -> None:
        before = self.outcomes.get(report.nodeid, OTHER)
        self.outcomes[report.nodeid] = merge(before, report)
        if self.on_finish is not None and report.when == "teardown":
            self.on_finish(report.nodeid, self.outcomes[report.nodeid])

    @staticmethod
    def tear_down(session: Any) -> None:
        """Tear down open fixtures when the next test is not the one that was announced."""
        state = session._setupstate  # noqa: SLF001 - there is no other way
        with contextlib.suppress(Exception):
            try:
                state.teardown_exact(None)
            except TypeError:  # pytest before 7
                state.teardown_exact(None, None)

    def run(self, item: Any, nextitem: Any) -> Verdict:
        """Run one collected test through pytest's own protocol."""
        self._reports = []
        self._verdict = verdict = Verdict()
        self._watched = 0
        started = time.perf_counter()
        try:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=nextitem)
        except TimeLimit:
            verdict.hang = True
        verdict.seconds = time.perf_counter() - started
        verdict.outcome = judge(self._reports)
        if verdict.hang:
            verdict.outcome = FAILED
        return verdict


def judge(reports: list[tuple[str, str, bool]]) -> str:
    """One outcome from the phases of a test."""
    if any(outcome == "failed" for _, outcome, _ in reports):
        return FAILED
    calls = [(outcome, xfail) for when, outcome, xfail in reports if when == "call"]
    # Sub-tests report before their test does; a skipped one leaves the test as it is.
    if calls and calls[-1] == ("passed", False):
        return PASSED
    return OTHER


def merge(before: str, report: Any) -> str:
    """The outcome of a test after one more report of it."""
    if report.failed or before == FAILED:
        return FAILED
    if report.when == "call" and report.passed and not hasattr(report, "wasxfail"):
        return PASSED
    return before


def traceback_frames(tb: Any, error: BaseException) -> list[tuple[str, int]]:
    """The (file, line) of the frames, outermost first; a syntax error adds its own place."""
    frames = []
    while tb is not None and len(frames) < 3000:
        frames.append((tb.tb_frame.f_code.co_filename, tb.tb_lineno))
        tb = tb.tb_next
    cause: Optional[BaseException] = error
    depth = 0
    while cause is not None and depth < 5:
        if isinstance(cause, SyntaxError) and cause.filename and cause.lineno:
            frames.append((cause.filename, cause.lineno))
        if cause is not error and cause.__traceback__ is not None:
            frames = traceback_frames(cause.__traceback__, Exception()) + frames
        cause = cause.__cause__ or cause.__context__
        depth += 1
    return frames


def root_error(error: BaseException) -> str:
    """The name of the original error; pytest wraps import errors."""
    cause = error
    for _ in range(5):
        if type(cause).__name__ != "CollectError" or cause.__cause__ is None:
            break
        cause = cause.__cause__
    # A doctest keeps the error of its example, or a list of failures that do.
    failures = getattr(cause, "failures", None)
    holder = failures[0] if isinstance(failures, list) and failures else cause
    held = getattr(holder, "exc_info", None)
    if isinstance(held, tuple) and len(held) == 3 and isinstance(held[1], BaseException):
        cause = held[1]
    return type(cause).__name__


def handled_errors(error: BaseException) -> list[str]:
    """The types of the errors that were being handled when this one was raised."""
    found = []
    cause = error.__context__
    while cause is not None and len(found) < 3:
        found.append(type(cause).__name__)
        cause = cause.__context__
    return found


def safe_text(error: BaseException) -> str:
    """The message of an error; the program's own `__str__` may fail."""
    try:
        return str(error)[:500]
    except Exception as failure:
        return f"<{type(failure).__name__} in __str__>"


def no_text(*args: object, **kwargs: object) -> str:
    """In place of `repr_failure` of a test: nobody reads what it writes about a failure."""
    return "failed"


def arguments(test_args: tuple[str, ...], extra: tuple[str, ...] = ()) -> list[str]:
    """The pytest command line for this interpreter's plugins."""
    made = list(BASE_ARGS)
    if os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD") is None:
        for module, args in NEUTRAL.items():
            if importlib.util.find_spec(module) is not None:
                made += args
        if importlib.util.find_spec("pytest_benchmark") is not None:
            # It makes its folder even when it is disabled, in the tree that is never written.
            made.append(f"--benchmark-storage=file://{os.path.join(tempfile.gettempdir(), 'benchmarks')}")
    return [*made, *extra, *test_args]


def host(plugin: Host, test_args: tuple[str, ...]) -> int:
    """Run pytest in this process with the plugin; returns its exit code."""
    code = int(pytest.main(arguments(test_args), plugins=[plugin]))
    if code == int(pytest.ExitCode.USAGE_ERROR):
        # The project's own options may need a plug-in that is not here.
        for name in [name for name in sys.modules if name.endswith("conftest")]:
            del sys.modules[name]
        code = int(pytest.main(arguments(test_args, ("-o", "addopts=")), plugins=[plugin]))
    return code


def warm_plugins(root: str) -> None:
    """Import pytest's own plugins and the installed ones once, so that fresh runs need not."""
    for name in default_plugins:
        importlib.import_module(f"_pytest.{name}")
    if os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD") is not None:
        return
    for distribution in importlib.metadata.distributions():
        for entry in distribution.entry_points:
            if entry.group == "pytest11" and entry.name not in NOT_WARMED:
                module = entry.value.split(":")[0]
                spec = importlib.util.find_spec(module.split(".")[0])
                if spec is None or not spec.origin or spec.origin.startswith(root + os.sep):
                    continue
                with contextlib.suppress(Exception):
                    importlib.import_module(module)
