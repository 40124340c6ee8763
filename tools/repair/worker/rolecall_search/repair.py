"""One repair from the first collection to the result.

Owns the order of the phases. Each phase is in its own package.
"""

from __future__ import annotations

import gc
import signal
from typing import Any, Optional

from rolecall_search.candidates import Stream
from rolecall_search.evidence.baseline import Baseline, Runner, measure
from rolecall_search.evidence.hints import read_hints
from rolecall_search.evidence.imports import ImportTrace
from rolecall_search.evidence.localize import Suspicion, add_imported, rank_import, rank_lines
from rolecall_search.evidence.profile import record, unit_types
from rolecall_search.program.project import Project
from rolecall_search.program.source import SourceFile, Unit
from rolecall_search.program.typeinfo import UnitTypes
from rolecall_search.ranking.cluster import Behaviour, Prober
from rolecall_search.ranking.examples import ExampleRuns, Examples, files_with_examples
from rolecall_search.ranking.rank import describe, rank
from rolecall_search.ranking.reach import lost_lines
from rolecall_search.ranking.report import result, suspicious_lines
from rolecall_search.runtime.clock import Clock
from rolecall_search.runtime.hosting import FAILED, OTHER, PASSED, Host, TimeLimit, host
from rolecall_search.runtime.isolate import Limits, Pool
from rolecall_search.runtime.protocol import Channel, Request
from rolecall_search.runtime.tracing import Lines
from rolecall_search.search import Searcher
from rolecall_search.templates.base import Hints
from rolecall_search.trials.fresh import FreshClient, FreshRun
from rolecall_search.trials.jobs import Arguments, Found
from rolecall_search.trials.live import LiveCode, override_imports
from rolecall_search.trials.state import State
from rolecall_search.trials.validate import Plan, Trial

BASELINE_SHARE = 0.4
PROFILED_PASSING = 12
COMPARED = 14
TRACED_PATCHES = 5
EXAMPLES_S = 2.0
UNLOADABLE = frozenset({"SyntaxError", "IndentationError", "TabError", "ModuleNotFoundError"})


class Repair:
    """The phases of one repair."""

    def __init__(self, request: Request, channel: Channel, fresh: FreshClient) -> None:
        self.request = request
        self.channel = channel
        self.fresh = fresh
        self.project = Project(request.root, request.base)
        self.clock = Clock(request.started)
        self.answer: Optional[dict[str, Any]] = None
        self.imports = ImportTrace(self.project.within)
        self.live: LiveCode
        self.imported: Lines = {}
        self.collected = 0.0

    def run(self) -> dict[str, Any]:
        """Collect, and search inside the collected session."""
        override_imports(self.request.base)
        plugin = Host(self._loop)
        plugin.on_import = lambda nodeid: self.channel.emit("collecting", file=nodeid)
        self.imports.begin()
        signal.signal(signal.SIGALRM, _too_long)
        try:
            code = host(plugin, self.request.test_args)
        except (TimeLimit, SystemExit) as error:
            return result("unusable_tests", f"collecting the tests ended with {error!r}")
        if self.answer is None:
            return result("unusable_tests", f"pytest stopped with exit code {code}")
        self.answer["phases"] = self.clock.told()
        return self.answer

    def _loop(self, plugin: Host, session: Any) -> None:
        self.answer = self._answer(plugin, session)

    def _answer(self, plugin: Host, session: Any) -> dict[str, Any]:
        self.collected = self.request.elapsed()
        self.clock.enter("tests")
        items = list(session.items)
        self.project.add_tests(items)
        self.imported = self.imports.end()
        _quiet(session.config)
        self.live = LiveCode(self.project.real)
        gc.freeze()
        runner = Runner(plugin, items, self.request.temp, self.project.wanted)
        baseline = self._baseline(runner)
        errors = plugin.collect_errors
        self._settle_unsteady(baseline, errors)
        aside = self._set_aside(plugin, baseline)
        failing, passing = baseline.failing(), baseline.passing()
        known: dict[str, Any] = {
            "failing": [run.nodeid for run in failing] + sorted(errors) + baseline.aside,
            "passing": len(passing),
        }
        self.channel.emit("baseline", failing=len(known["failing"]), passing=len(passing))
        refused = self._refused(plugin, baseline)
        if refused is not None:
            status, why = refused
            return result(status, why, **known)
        return self._patches(plugin, session, baseline, known, aside)

    def _patches(
        self, plugin: Host, session: Any, baseline: Baseline, known: dict[str, Any], aside: str
    ) -> dict[str, Any]:
        """Search, and rank what was found."""
        errors = plugin.collect_errors
        self.clock.enter("coverage")
        suspicion = self._suspicion(baseline, errors)
        if not any(suspicion.scores.values()):
            return result("unusable_tests", no_program(known["failing"]), **known)
        lines = suspicious_lines(self.project, suspicion)
        self.channel.emit("suspicious", lines=lines[:5])
        searcher = self._searcher(plugin, session, baseline)
        frames = self._real_frames(errors)
        hints = read_hints(baseline.failing(), list(session.items), plugin.collect_types, frames)
        self._search(searcher, baseline, suspicion, hints)
        reason = searcher.stop_reason + aside
        known.update(suspicious=lines, tried=searcher.tried)
        known.update(cpu_s=round(searcher.cpu_s, 3), validation_s=round(searcher.validation_s, 3))
        if not searcher.tried:
            return result("unusable_tests", f"no candidate could be run: {reason}", **known)
        self.clock.enter("ranking")
        found = searcher.found or searcher.partial
        if not found:
            return result("none", reason, **known)
        known.update(self._ranked(searcher, found, baseline, suspicion))
        return result("plausible" if searcher.found else "partial", reason, **known)

    def _settle_unsteady(self, baseline: Baseline, errors: dict[str, Any]) -> None:
        """Let a fresh process decide how an unsteady test ends, or whether anything fails at all."""
        unsteady = [run for run in baseline.failing() if run.unsteady]
        if not unsteady and (errors or baseline.failing() or not baseline.complete):
            return
        seconds = min(0.3 * self.request.remaining(), 5.0 + 4.0 * sum(run.seconds for run in baseline.tests))
        names = tuple(run.nodeid for run in baseline.tests if run.outcome != OTHER)
        run = FreshRun(self.request.base, self.request.test_args, (), (), may_fail=names)
        self.fresh.ask("all", run, Limits(seconds, seconds))
        outcome = self.fresh.wait_for("all", seconds + 1)
        if outcome is None or outcome.reply is None:
            return
        failed = frozenset(outcome.reply[2])
        for test in baseline.tests:
            if test in unsteady and test.nodeid not in failed:
                test.outcome = PASSED
            elif test.outcome == PASSED and test.nodeid in failed:
                test.outcome, test.unsteady = FAILED, True

    def _refused(self, plugin: Host, baseline: Baseline) -> Optional[tuple[str, str]]:
        """The status and its reason when there is nothing to search for."""
        errors = plugin.collect_errors
        if not baseline.tests and not errors:
            return "unusable_tests", "pytest collected no tests"
        if baseline.failing():
            return None
        if errors:
            hopeless = self._hopeless(plugin)
            return ("unusable_tests", hopeless) if hopeless else None
        if not baseline.complete:
            return "unusable_tests", "the tests did not finish in time"
        return "nothing_fails", "no test fails"

    def _hopeless(self, plugin: Host) -> str:
        """Why no edit of the program can make the test files load; empty when one may."""
        frames = self._real_frames(plugin.collect_errors)
        within = any(name for found in frames.values() for name, _ in found)
        kinds = {plugin.collect_types.get(nodeid, "") for nodeid in frames}
        if within or not kinds <= UNLOADABLE:
            return ""
        files = ", ".join(sorted(frames)[:3])
        return f"pytest could not load {files}: {', '.join(sorted(kinds))} outside the program"

    def _set_aside(self, plugin: Host, baseline: Baseline) -> str:
        """Drop failures that no edit of the program can repair, when others are left.

        A test that ends before it runs a line of the program, or a test file that fails on a
        missing dependency, would reject every candidate.
        """
        failing = baseline.failing()
        within = [run for run in failing if run.lines or run.hang or not run.traced]
        if not any(run.lines or run.hang for run in within):
            return ""
        for run in failing:
            if run not in within:
                run.outcome = OTHER
                baseline.aside.append(run.nodeid)
        for nodeid, frames in list(plugin.collect_errors.items()):
            if not any(self.project.real(name) for name, _ in frames):
                del plugin.collect_errors[nodeid]
                baseline.aside.append(nodeid)
        count = len(baseline.aside)
        return f"; {count} failures outside the program were set aside" if count else ""

    def _ranked(
        self, searcher: Searcher, found: list[Found], baseline: Baseline, suspicion: Suspicion
    ) -> dict[str, Any]:
        """Compare the patches by behaviour, order and label them."""
        found = sorted(found, key=lambda entry: -entry.candidate.score)[:COMPARED]
        behaviour = Behaviour()
        seconds = min(10.0, self.request.remaining() - 0.5)
        if searcher.trial is not None and seconds > 1:
            runs = sorted(baseline.failing(), key=lambda run: run.seconds)
            covering = frozenset().union(*(entry.candidate.covering for entry in found))
            near = [run for run in baseline.passing() if run.index in covering]
            tests = [run.index for run in runs + sorted(near, key=lambda run: run.seconds)]
            prober = Prober(searcher.trial, self.request.temp)
            behaviour = prober.compare(found, tests, seconds)
        lost = self._lost(searcher, found, baseline)
        examples = self._examples(searcher, found, suspicion)
        ranked, places = rank(found, baseline, suspicion, behaviour, lost, examples)
        patches = describe(ranked, behaviour)
        differing = behaviour.disagreement()
        if differing is None:
            return {"patches": patches}
        call, outputs = differing
        outputs = [outputs[place] for place in places][: len(patches)]
        return {"patches": patches, "disagreement": {"call": call, "outputs": outputs}}

    def _examples(self, searcher: Searcher, found: list[Found], suspicion: Suspicion) -> list[Examples]:
        """What each patch does to the examples in docstrings."""
        seconds = min(EXAMPLES_S, self.request.remaining() - 0.5)
        candidates = [entry.candidate for entry in found]
        files = files_with_examples(self.project, suspicion, [candidate.source.path for candidate in candidates])
        if searcher.trial is None or not files or seconds <= 0:
            return []
        runs = ExampleRuns(files, searcher.trial, self.fresh, self.request.base, self.request.temp)
        return runs.compare(candidates, seconds)

    def _lost(self, searcher: Searcher, found: list[Found], baseline: Baseline) -> dict[int, int]:
        """Lines that no test reaches any more, for the first patches, as far as time allows."""
        lost = {}
        for at, entry in enumerate(found[:TRACED_PATCHES]):
            seconds = min(3.0, self.request.remaining() - 0.5)
            if searcher.trial is None or seconds < 1.0:
                break
            planned = {*searcher.plan.failing, *searcher.plan.passing}
            covering = entry.candidate.covering & planned
            near = [run for run in baseline.tests if run.index in covering]
            lost[at] = lost_lines(searcher.trial, entry.candidate, near, self.request.temp, seconds)
        return lost

    def _baseline(self, runner: Runner) -> Baseline:
        share = BASELINE_SHARE * self.request.remaining()
        baseline = measure(runner, share)
        for run in baseline.tests:
            run.lines = {self.project.real(name): lines for name, lines in run.lines.items() if self.project.real(name)}
            run.frames = [(self.project.real(name), line) for name, line in run.frames]
        return baseline

    def _suspicion(self, baseline: Baseline, errors: dict[str, list[tuple[str, int]]]) -> Suspicion:
        lines = {self.project.real(name): found for name, found in self.imported.items()}
        lines.pop("", None)
        if not errors:
            suspicion = rank_lines(baseline.failing(), baseline.passing())
            add_imported(suspicion, lines, self._in_function)
            return suspicion
        return rank_import(lines, self._real_frames(errors))

    def _in_function(self, path: str, line: int) -> bool:
        source = self.project.source(path)
        units = source.units if source is not None else []
        return any(u.node.body[0].lineno <= line <= (u.node.end_lineno or 0) for u in units)

    def _real_frames(self, errors: dict[str, list[tuple[str, int]]]) -> dict[str, list[tuple[str, int]]]:
        return {nodeid: [(self.project.real(name), line) for name, line in found] for nodeid, found in errors.items()}

    def _searcher(self, plugin: Host, session: Any, baseline: Baseline) -> Searcher:
        errors = plugin.collect_errors
        failing, passing = baseline.failing(), baseline.passing()
        overrides: dict[str, str] = {}
        override_imports(overrides)
        trial = None if errors else self._trial(plugin, list(session.items), overrides)
        seconds = {run.index: run.seconds for run in baseline.tests}
        for run in failing:
            if run.hang:
                seconds[run.index] = 0.0
        expected = {run.index: (run.outcome, run.error) for run in baseline.tests}
        # Doctests may share names with those before them: fresh runs, in order, judge them.
        shared = {at for at, item in enumerate(session.items) if type(item).__name__ == "DoctestItem"}
        shared |= {run.index for run in baseline.tests if run.unsteady}
        mended = [run.index for run in failing if run.index not in shared]
        kept = [run.index for run in passing if run.index not in shared]
        if not mended and all(run.unsteady for run in failing):
            trial = None
        plan = Plan(mended or [run.index for run in failing], kept, seconds, expected)
        ran = {run.index: tuple((name, *lines) for name, lines in sorted(run.lines.items())) for run in failing}
        plan.groups = {run.index: hash((run.error, *run.frames[-1:], ran[run.index])) for run in failing}
        plan.unknown = frozenset(run.index for run in failing if not run.lines)
        return Searcher(
            self.request,
            Pool(self.request.workers, self.request.temp),
            self.fresh,
            trial,
            plan,
            self._arguments(session, baseline, sorted(errors)),
            lambda tried, found: self.channel.emit("progress", tried=tried, plausible=found),
        )

    def _trial(self, plugin: Host, items: list[Any], overrides: dict[str, str]) -> Trial:
        given = [value for item in items for value in getattr(getattr(item, "callspec", None), "params", {}).values()]
        return Trial(plugin, items, self.live, overrides, State(self.project.within, given))

    def _arguments(self, session: Any, baseline: Baseline, errors: list[str]) -> Arguments:
        failing, passing = baseline.failing(), baseline.passing()
        place = ["--rootdir", str(session.config.rootpath)]
        if session.config.inipath is not None:
            place += ["-c", str(session.config.inipath)]
        names = [_absolute(session.items[run.index]) for run in failing]
        names += [str(session.config.rootpath / nodeid) for nodeid in errors]
        if len(names) > 30:
            names = sorted({name.split("::")[0] for name in names})
        return Arguments(
            base=self.request.base,
            aside=tuple(baseline.aside),
            failing_args=(*place, *names),
            all_args=(*place, *self.request.test_args),
            failing_ids=tuple(run.nodeid for run in failing),
            passing_ids=tuple(run.nodeid for run in passing),
            must_load=tuple(errors),
            run_seconds=sum(run.seconds for run in passing) + sum(r.seconds for r in failing),
            failing_seconds=sum(min(run.seconds, 2.0) for run in failing),
            collect_seconds=0.0 if errors else self.collected,
        )

    def _types(self, searcher: Searcher, baseline: Baseline, sources: dict[str, SourceFile]) -> dict[Unit, UnitTypes]:
        """Types recorded in the failing tests and a few passing ones that run the same files."""
        if searcher.trial is None:
            return {}
        tests = [run.index for run in sorted(baseline.failing(), key=lambda r: r.seconds)[:8]]
        near = [run for run in baseline.passing() if run.lines.keys() & sources.keys()]
        near.sort(key=lambda run: run.seconds)
        tests += [run.index for run in near[:PROFILED_PASSING]]
        trial = searcher.trial
        limit = 0.3 * self.request.remaining()
        plain = record(trial.host, trial.items, tests, self.project.real, self.request.temp, limit)
        return unit_types(plain, sources)

    def _search(self, searcher: Searcher, baseline: Baseline, suspicion: Suspicion, hints: Hints) -> None:
        sources: dict[str, SourceFile] = {}
        for path in suspicion.scores:
            source = self.project.source(path)
            if source is not None:
                sources[path] = source
        types = self._types(searcher, baseline, sources)
        stream = Stream(sources, suspicion, types, hints, self.request.history)
        self.clock.enter("search")
        searcher.run(iter(stream), reserve=min(4.0, 0.1 * self.request.budget_s))


def no_program(failing: list[str]) -> str:
    """Why there is nothing to search."""
    some = ", ".join(failing[:3]) + (" and others" if len(failing) > 3 else "")
    return f"the failing tests end before running a line of the program: {some}"


def _absolute(item: Any) -> str:
    _, _, rest = item.nodeid.partition("::")
    return f"{item.path}::{rest}" if rest else str(item.path)


def _quiet(config: Any) -> None:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        config.pluginmanager.unregister(reporter)


def _too_long(number: int, frame: object) -> None:
    raise TimeLimit
