"""The examples in docstrings as further tests of patches that pass: which fail with a patch, and which only without it.

Owns running them, in forks and fresh runs with the limits of the tests. It ranks nothing.
"""

from __future__ import annotations

import contextlib
import doctest
import os
import signal
import sys
import time
from dataclasses import dataclass
from typing import Any, Optional, Sequence

from rolecall_search.candidates import Candidate
from rolecall_search.evidence.localize import Suspicion
from rolecall_search.program.project import Project
from rolecall_search.ranking.cluster import swapped
from rolecall_search.runtime.hosting import TimeLimit
from rolecall_search.runtime.isolate import Limits, run_apart
from rolecall_search.trials.fresh import FreshClient, FreshRun
from rolecall_search.trials.validate import Trial

PROMPT = ">>>"
MOST_FILES = 8
DOCSTRING_S = 0.5
FRESH_S = 1.0


@dataclass(frozen=True)
class Examples:
    """What a patch does to the examples, by the names of what they document."""

    broken: frozenset[str] = frozenset()
    """All of them passed before."""
    mended: frozenset[str] = frozenset()
    """Some of them failed before."""


NO_EXAMPLES = Examples()


@dataclass(frozen=True)
class ExampleRuns:
    """Runs the examples of some files on the unedited program and on patches."""

    files: Sequence[str]
    trial: Trial
    fresh: FreshClient
    base: dict[str, str]
    """By path: the text to start from, where it differs from the file."""
    temp: str

    def compare(self, candidates: Sequence[Candidate], seconds: float) -> list[Examples]:
        """What each patch does to the examples; nothing for those that time does not suffice for.

        Args:
            candidates: The patches.
            seconds: Time for all runs together.
        """
        until = time.monotonic() + seconds
        before: dict[bool, Optional[frozenset[str]]] = {}
        made = []
        for candidate in candidates:
            apart = candidate.unit is None or candidate.fresh
            if apart not in before:
                before[apart] = self._failing(None, until, apart=apart)
            old = before[apart]
            new = None if old is None else self._failing(candidate, until, apart=apart)
            made.append(Examples() if old is None or new is None else Examples(new - old, old - new))
        return made

    def _failing(self, candidate: Optional[Candidate], until: float, *, apart: bool) -> Optional[frozenset[str]]:
        left = until - time.monotonic()
        if left < 0.1:
            return None
        return self._failing_fresh(candidate, left) if apart else self._failing_live(candidate, left)

    def _failing_live(self, candidate: Optional[Candidate], seconds: float) -> Optional[frozenset[str]]:
        def work() -> Optional[list[str]]:
            if candidate is not None and not swapped(self.trial.live, candidate):
                return None
            return failing_examples(loaded(self.files), DOCSTRING_S)

        reply = run_apart(work, Limits(seconds, seconds), os.path.join(self.temp, "examples")).reply
        return frozenset(reply) if isinstance(reply, list) else None

    def _failing_fresh(self, candidate: Optional[Candidate], seconds: float) -> Optional[frozenset[str]]:
        texts = dict(self.base)
        if candidate is not None:
            texts[candidate.source.path] = candidate.source.apply(candidate.edits)
        seconds = min(seconds, FRESH_S)
        run = FreshRun(texts, ("--doctest-modules", *self.files), (), ())
        self.fresh.ask("examples", run, Limits(seconds, seconds))
        outcome = self.fresh.wait_for("examples", seconds + 1.0)
        if outcome is None or outcome.reply is None:
            return None
        _, _, failed, _ = outcome.reply
        return frozenset(name.split("::")[-1] for name in failed)


def files_with_examples(project: Project, suspicion: Suspicion, edited: Sequence[str]) -> list[str]:
    """The edited files, then the other suspicious ones, as far as they contain examples."""
    best = {path: max(lines.values(), default=0.0) for path, lines in suspicion.scores.items()}
    paths = [*dict.fromkeys(edited), *sorted(best, key=lambda path: -best[path])]
    sources = [project.source(path) for path in dict.fromkeys(paths)]
    return [source.path for source in sources if source is not None and PROMPT in source.text][:MOST_FILES]


def loaded(files: Sequence[str]) -> list[Any]:
    """The imported modules of some files."""
    modules = {os.path.realpath(getattr(module, "__file__", None) or ""): module for module in [*sys.modules.values()]}
    return [modules[path] for path in files if path in modules]


def failing_examples(modules: Sequence[Any], seconds: float) -> list[str]:
    """What is documented by examples of which one fails; one that takes longer than `seconds` fails."""
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    failing = []
    signal.signal(signal.SIGALRM, _too_long)
    for module in modules:
        for test in doctest.DocTestFinder(exclude_empty=True).find(module):
            runner = doctest.DocTestRunner(verbose=False, optionflags=options)
            failed = True
            signal.setitimer(signal.ITIMER_REAL, seconds, 0.1)
            with contextlib.suppress(TimeLimit):
                failed = bool(runner.run(test, out=lambda text: None).failed)
            signal.setitimer(signal.ITIMER_REAL, 0)
            if failed:
                failing.append(test.name)
    return failing


def _too_long(number: int, frame: object) -> None:
    raise TimeLimit
