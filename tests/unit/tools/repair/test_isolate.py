"""Forked children and their limits."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from rolecall_search.runtime.isolate import Limits, Outcome, Pool


def outcome_of(folder: Path, work: Any, limits: Limits) -> Outcome:
    pool = Pool(1, str(folder))
    pool.start(None, work, limits)
    done: list[Any] = []
    while not done:
        done = pool.wait(5.0)
    outcome: Outcome = done[0][1]
    return outcome


def busy() -> str:
    until = time.monotonic() + 0.6
    while time.monotonic() < until:
        pass
    return "done"


@pytest.mark.parametrize(
    "work", [lambda: time.sleep(60), threading.Event().wait, lambda: threading.Lock().acquire() and time.sleep(60)]
)
def test_a_child_that_only_waits_is_ended_early(tmp_path: Path, work: Any) -> None:
    begun = time.monotonic()
    outcome = outcome_of(tmp_path, work, Limits(30, 30, 0.2))
    assert (outcome.reply, outcome.killed) == (None, "time")
    assert time.monotonic() - begun < 10


def test_a_child_that_works_is_not(tmp_path: Path) -> None:
    assert outcome_of(tmp_path, busy, Limits(30, 30, 0.1)).reply == "done"
