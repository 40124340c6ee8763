"""The examples in docstrings as further tests of patches that pass.

Owns running them in a fork with the patch applied. It ranks nothing.
"""

from __future__ import annotations

import doctest
import os
import sys
import time
from types import FunctionType
from typing import Any, Optional

from rolecall_search.candidates import Candidate
from rolecall_search.ranking.cluster import swapped
from rolecall_search.runtime.isolate import Limits, Pool
from rolecall_search.trials.validate import Trial

PROMPT = ">>>"


def failing_examples(trial: Trial, candidates: list[Candidate], temp: str, seconds: float) -> list[int]:
    """How many examples in the docstrings of an edited file fail with each patch; 0 where none could be run.

    Args:
        trial: Runs in forks of the collected session.
        candidates: The patches.
        temp: A directory for the children.
        seconds: Time for all runs together.
    """
    until = time.monotonic() + seconds
    made = []
    for candidate in candidates:
        left = until - time.monotonic()
        speaks = PROMPT in candidate.source.text and left > 0.2
        made.append(_run(trial, candidate, temp, left) or 0 if speaks else 0)
    return made


def _run(trial: Trial, candidate: Candidate, temp: str, seconds: float) -> Optional[int]:
    if candidate.unit is None:
        return None
    module = module_of(trial.live.functions_of(candidate.source, candidate.unit))

    def work() -> Optional[int]:
        if module is None or not swapped(trial.live, candidate):
            return None
        return count_failing(module)

    folder = os.path.join(temp, "examples")
    os.makedirs(folder, exist_ok=True)
    pool = Pool(1, folder)
    pool.start(None, work, Limits(seconds, seconds))
    until = time.monotonic() + seconds + 1.0
    done: list[Any] = []
    while not done and time.monotonic() < until:
        done = pool.wait(0.5)
    pool.stop()
    reply = done[0][1].reply if done else None
    return reply if isinstance(reply, int) else None


def module_of(functions: list[FunctionType]) -> Optional[Any]:
    """The module the first of some functions is from."""
    return sys.modules.get(functions[0].__module__) if functions else None


def count_failing(module: Any) -> int:
    """The number of failing examples in the docstrings of a module."""
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module):
        runner.run(test, out=lambda text: None)
    return int(runner.failures)
