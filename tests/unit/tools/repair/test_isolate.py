"""Children are limited, killed and cleaned up."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from rolecall_search.runtime.isolate import Limits, Outcome, Pool


def run(folder: Path, work: Callable[[], object], limits: Limits) -> Outcome:
    pool = Pool(1, str(folder))
    pool.start("job", work, limits)
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        done = pool.wait(0.5)
        if done:
            return done[0][1]
    raise AssertionError("the child was not reaped")


def spin() -> None:
    while True:
        pass


def swallow() -> None:
    while True:
        try:
            spin()
        except BaseException:  # noqa: BLE001
            continue


@pytest.mark.parametrize(
    ("work", "wall", "killed"),
    [(spin, 60.0, "time"), (swallow, 60.0, "time"), (lambda: time.sleep(60), 0.5, "time"),
     (lambda: os.kill(os.getpid(), 9), 60.0, "crash")],
    ids=["busy", "catches all", "sleeps", "aborts"],
)  # fmt: skip
def test_child_that_does_not_end_is_killed(
    tmp_path: Path, work: Callable[[], object], wall: float, killed: str
) -> None:
    outcome = run(tmp_path, work, Limits(cpu=0.2, wall=wall))
    assert (outcome.reply, outcome.killed) == (None, killed)
    assert list(tmp_path.iterdir()) == []


def test_reply_comes_back_and_the_temporary_folder_goes(tmp_path: Path) -> None:
    def work() -> tuple[str, int]:
        Path(os.environ["TMPDIR"], "left").write_text("x", encoding="utf-8")
        return "done", 3

    outcome = run(tmp_path, work, Limits(cpu=2.0, wall=60.0))
    assert outcome.reply == ("done", 3)
    assert list(tmp_path.iterdir()) == []


def test_memory_is_bounded(tmp_path: Path) -> None:
    outcome = run(tmp_path, lambda: len(bytearray(8 << 30)), Limits(cpu=5.0, wall=60.0))
    assert (outcome.reply, outcome.killed) == (None, "crash")


def test_grandchildren_end_with_the_child(tmp_path: Path) -> None:
    def work() -> int:
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid

    pid = run(tmp_path, work, Limits(cpu=5.0, wall=60.0)).reply
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and psutil.pid_exists(pid):
        if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            break
        time.sleep(0.05)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
