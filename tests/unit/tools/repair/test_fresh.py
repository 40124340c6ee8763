"""Fresh runs: a whole run sees another order of sets than the search that found the patch."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from rolecall_search.trials.fresh import FreshRun
from rolecall_search.trials.validate import KILLED, PLAUSIBLE

LETTERS = "abcdefghijklmnop"
TESTS = f"""
    import os

    def test_order():
        assert "".join(set("{LETTERS}")) == os.environ["FIRST_ORDER"]

    def test_sorted():
        assert "".join(sorted(set("{LETTERS}"))) == "{LETTERS}"
"""


LEAVING = """
import os, time

def test_leaves_a_process():
    if not (child := os.fork()):
        time.sleep(600)
    with open("child", "w") as file:
        file.write(str(child))
"""


def test_a_whole_run_does_not_wait_for_what_a_test_left_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "test_leaving.py").write_text(LEAVING, encoding="utf-8")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.chdir(tmp_path)
    run = FreshRun({}, ("test_leaving.py",), ("test_leaving.py::test_leaves_a_process",), (), reseeded=True)
    verdict = run.run()[0]
    left = psutil.Process(int((tmp_path / "child").read_text(encoding="utf-8")))
    assert left.is_running()
    left.kill()
    assert verdict == PLAUSIBLE


def test_a_whole_run_sees_another_order_of_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "test_sets.py").write_text(TESTS.replace("\n    ", "\n"), encoding="utf-8")
    seeded = {**os.environ, "PYTHONHASHSEED": "0"}
    show = [sys.executable, "-c", f"print(''.join(set('{LETTERS}')), end='')"]
    monkeypatch.setenv("FIRST_ORDER", subprocess.check_output(show, env=seeded, text=True))
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.chdir(tmp_path)

    both = FreshRun({}, ("test_sets.py",), ("test_sets.py::test_order", "test_sets.py::test_sorted"), (), reseeded=True)
    assert both.run()[0] == KILLED
    sorted_only = replace(both, must_pass=("test_sets.py::test_sorted",), may_fail=("test_sets.py::test_order",))
    verdict, passed, failed, _ = sorted_only.run()
    assert (verdict, passed, list(failed)) == (PLAUSIBLE, 1, ["test_sets.py::test_order"])
