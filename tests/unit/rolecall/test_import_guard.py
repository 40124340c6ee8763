import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.rolecall.command_line import HOUSE

PRINT_PATHS = """
import json, os, sys
from rolecall.__main__ import guard
guard()
import core, graph, tools
print(json.dumps({"path": sys.path, "files": [m.__file__ for m in (core, graph, tools)], "env": dict(os.environ)}))
"""


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A repository with folders called as ours are, which say so when they are imported."""
    for name in ("core", "graph", "tools", "memory", "nodes", "llm_registry", "json", "argparse"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('the target was imported')\n")
    return tmp_path


def test_packages_of_the_target_are_not_taken_for_ours(target: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRINT_PATHS],
        cwd=HOUSE, env={"PYTHONPATH": str(target / "nothing")}, capture_output=True, text=True, check=True,
    )  # fmt: skip

    found = json.loads(done.stdout)
    assert all(Path(file).is_relative_to(HOUSE) for file in found["files"])
    assert str(target / "nothing") not in found["path"]
    assert found["env"]["ROLECALL_ORIGINAL_PYTHONPATH"] == str(target / "nothing")
    assert "PYTHONPATH" not in found["env"]


def test_the_command_runs_inside_a_target_that_looks_like_us(target: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", str(HOUSE / "rolecall" / "__main__.py"), "run", "x"],
        cwd=target, env={"PATH": "/usr/bin:/bin", "PYTHONPATH": "."}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert "the target was imported" not in done.stderr
    assert "is not a git repository" in done.stderr


def test_tracing_is_off_unless_the_user_wants_it() -> None:
    code = "from rolecall.__main__ import guard; guard(); import os; print(os.environ['LANGSMITH_TRACING'])"
    run = [sys.executable, "-c", code]
    default = subprocess.run(run, cwd=HOUSE, env={}, capture_output=True, text=True, check=True)
    wanted = subprocess.run(
        run, cwd=HOUSE, env={"LANGSMITH_TRACING": "true"}, capture_output=True, text=True, check=True
    )

    assert (default.stdout.strip(), wanted.stdout.strip()) == ("false", "true")
