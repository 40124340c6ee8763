"""The command `demo`: that it keeps its promises, and what it costs in processes."""

from pathlib import Path

from benchmarks.run_cost import COUNTING
from tests.repositories import git
from tests.unit.rolecall.command_line import rolecall


def test_the_demo_mends_its_repository_and_leaves_the_checkout(tmp_path: Path) -> None:
    log, hook = tmp_path / "log", tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(COUNTING, encoding="utf-8")
    counted = {"PYTHONPATH": str(hook), "RUN_COST_LOG": str(log)}
    done = rolecall("demo", "--dir", "broken", cwd=tmp_path, env={"ROLECALL_CONFIG": "/no/such/file", **counted})

    assert done.code == 0, done.err
    assert 10 < log.read_text().count("git processes") < 60
    assert "done, the checks are green" in done.out
    assert "+        return self.count <= self.reorder_at" in done.out
    assert git(tmp_path / "broken", "status", "--porcelain") == ""
    assert "is unchanged" in done.err
    full = rolecall("demo", "--dir", "broken", cwd=tmp_path)
    assert (full.code, "not empty" in full.err) == (2, True)
