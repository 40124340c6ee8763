import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.repair import leftovers, prepare
from benchmarks.repair.corpus import Bug
from benchmarks.repair.judge import Bench, fingerprint, judge

GOOD = "def twice(x):\n    return x + x\n"
TESTS = "from p import twice\n\n\ndef test_twice():\n    assert twice(2) == 4\n"
BUG = Bug(
    id="p:twice", kind="handmade", program="p", path="p.py", line=2, operator="o", old="x + x", new="x - x"
)  # fmt: skip


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    root = tmp_path / "p"
    root.mkdir()
    (root / "p.py").write_text(BUG.inject(GOOD), encoding="utf-8")
    (root / "test_p.py").write_text(TESTS, encoding="utf-8")
    prepare.commit_all(root)
    return Bench(root, Path(sys.executable), {"PATH": os.environ["PATH"]})


def to(line: str) -> str:
    return f"--- a/p.py\n+++ b/p.py\n@@ -1,2 +1,2 @@\n def twice(x):\n-    return x - x\n+    return {line}\n"


def test_the_original_is_restored_whatever_its_layout(bench: Bench) -> None:
    assert judge(BUG, to("(x + x)"), bench, {}) == "restored"


def test_a_patch_the_tests_refuse_is_implausible(bench: Bench) -> None:
    assert judge(BUG, to("x + 1"), bench, {}) == "implausible"


def test_a_patch_that_does_not_apply_is_implausible(bench: Bench) -> None:
    assert judge(BUG, to("x + x").replace("x - x", "x / x"), bench, {}) == "implausible"


def test_no_patch_is_none(bench: Bench) -> None:
    assert judge(BUG, "", bench, {}) == "none"


def test_passing_the_tests_is_not_enough(bench: Bench) -> None:
    assert judge(BUG, to("x ** 2"), bench, {}) == "unread"


@pytest.mark.parametrize("verdict", ["correct", "wrong"])
def test_a_reader_decides_the_rest(bench: Bench, verdict: str) -> None:
    diff = to("x * 2")
    book = {BUG.id: {fingerprint(diff): {"verdict": verdict, "reason": "read"}}}
    assert judge(BUG, diff, bench, book) == verdict


def test_a_fingerprint_ignores_place_and_names() -> None:
    moved = to("x * 2").replace("@@ -1,2 +1,2 @@", "@@ -7,2 +7,2 @@").replace("p.py", "q.py")
    assert fingerprint(moved) == fingerprint(to("x * 2"))
    assert fingerprint(to("x * 3")) != fingerprint(to("x * 2"))


def test_the_judge_leaves_the_repository_alone(bench: Bench) -> None:
    before = leftovers.photograph(bench.root)
    judge(BUG, to("x ** 2"), bench, {})
    assert leftovers.changes(before, leftovers.photograph(bench.root)) == []


def test_changed_new_and_lost_files_are_named(bench: Bench) -> None:
    before = leftovers.photograph(bench.root)
    (bench.root / "p.py").write_text("", encoding="utf-8")
    (bench.root / "new").touch()
    (bench.root / "test_p.py").unlink()
    assert leftovers.changes(before, leftovers.photograph(bench.root)) == [
        "changed new", "changed p.py", "changed test_p.py",
    ]  # fmt: skip


def test_a_process_left_behind_is_named(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    env = {**os.environ, leftovers.MARK: "m1"}
    with subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as left:
        assert left.stdout is not None
        left.stdout.readline()
        assert leftovers.processes("m1", tmp_path)[0].startswith(f"process {left.pid} ")
        left.communicate()
    assert leftovers.processes("m1", tmp_path) == []
