"""`rolecall repair` and `rolecall run` on the same fault: same verdict, patch and claim, which a fresh pytest confirms.

`make bench-agree` compares them on faults of the corpus.
"""

import sys
from pathlib import Path
from textwrap import dedent

import pytest

from benchmarks.repair.agree import differences
from benchmarks.repair.engines import Answer, read
from benchmarks.repair.verify import tests_failing as red_tests
from tests.integration.test_command_line import TASK, call
from tests.repositories import git, make_repository

SWAPPED = """
    def share(total, count):
        return count / total

    def rest(total, count):
        return total % count
"""
DEFAULT = SWAPPED.replace("count / total", "total / count").replace("rest(total, count)", "rest(total, count=2)")
GREEN = SWAPPED.replace("count / total", "total / count")
ENDLESS = GREEN + "\n    def down(number):\n        while number > 0:\n            number += 1\n        return number\n"
TESTS = """
    from program import *

    def test_share():
        assert share(8, 2) == 4

    def test_share_of_one():
        assert share(5, 1) == 5

    def test_rest():
        assert rest(8, 3) == 2
"""
FAULTS = {
    "nothing fails": (GREEN, "", "nothing_fails"),
    "exchanged names": (SWAPPED, "", "plausible"),
    "a wrong default": (DEFAULT, "rest(8) == 2", "plausible"),
    "hangs": (ENDLESS, "down(3) == 0", "plausible"),
    "one of two is mended": (SWAPPED, "rest(8, 2) == 'none'", "partial"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("text", "further", "status"), FAULTS.values(), ids=FAULTS)
def test_repair_and_run_agree(tmp_path: Path, text: str, further: str, status: str) -> None:
    tests = dedent(TESTS) + (f"\ndef test_further():\n    assert {further}\n" if further else "")
    repo = make_repository(tmp_path / "red", {"program.py": dedent(text), "test_program.py": tests})
    config = tmp_path / "rolecall.json"
    config.write_text('{"embedded": {"repair_budget_s": 20}}', encoding="utf-8")

    def answer(*words: str) -> Answer:
        done = call(*words, "--json", cwd=repo, env={"ROLECALL_CONFIG": str(config)})
        return read(done.out, done.err, code=done.code, elapsed_s=0.0)

    searched = answer("repair")
    done = answer("run", TASK, "--yes")
    assert searched.status == status
    branch = git(repo, "for-each-ref", "--format=%(refname)", "refs/heads/rolecall").split()
    git(repo, "worktree", "add", "-q", "--detach", str(tmp_path / "branch"), *branch)
    red = red_tests(tmp_path / "branch", Path(sys.executable), "")
    assert list(differences(searched, done, red)) == []
