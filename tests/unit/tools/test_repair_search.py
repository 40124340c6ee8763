"""The search joined to a thread: it runs the tests of the checks, in the sandbox, and leaves the tree alone."""

from pathlib import Path
from typing import Any

import pytest

from core.config.settings import SandboxSettings, Settings
from tests.repositories import git, make_repository, thread
from tests.unit.tools.assembly import open_toolset
from tests.unit.tools.bench import MODES, Events
from tools.target.repair_search import pytest_arguments as arguments_of

CALC = "def larger(a, b):\n    return a if a < b else b\n"
CASE = (
    "import unittest\nimport calc\nclass T(unittest.TestCase):\n    def test_larger(self):\n"
    "        self.assertEqual(calc.larger(1, 2), 2)\n        self.assertEqual(calc.larger(4, 3), 4)\n"
)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("python -m pytest -q", ()),
        ("pytest tests/unit -k 'a and b' --tb=short -x", ("tests/unit", "-k", "a and b")),
        ("PYTHONPATH=. .venv/bin/python -m pytest tests", ("tests",)),
        ("python -m unittest discover -s test", ("test", "-o", "python_files=test*.py")),
        ("python -m unittest discover -p '*test*.py'", ("-o", "python_files=*test*.py")),
        ("make test", ()),
        ("ruff check . && pytest tests", ()),
        ("tox", ()),
        ("pytest 'unclosed", ()),
        ("", ()),
    ],
)
def test_the_tests_of_a_check_are_understood(command: str, expected: tuple[str, ...]) -> None:
    assert arguments_of((command,)) == expected


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("files", "given"),
    [
        ({"test/testcalc.py": CASE}, ()),
        ({"suite/check_calc.py": CASE, "test_other.py": "import no_such_module\n"}, ("pytest suite/check_calc.py -q",)),
    ],
    ids=["unittest", "given"],
)
async def test_a_fault_is_found_by_the_tests_of_the_checks(
    tmp_path: Path, mode: str, files: dict[str, str], given: tuple[str, ...]
) -> None:
    repo = make_repository(tmp_path / "calc repo", {"calc.py": CALC, **files})
    settings = Settings(sandbox=SandboxSettings(mode=mode))  # type: ignore[arg-type]
    events: Any = Events()
    tools = await open_toolset(repo, thread(), settings, events, checks=given)
    found = await tools.repair.search(budget_s=40)
    assert found.status == "plausible", found.stop_reason
    assert {edit.path for edit in found.patches[0].edits} == {"calc.py"}
    assert git(tools.workspace.root, "status", "--short", "--ignored") == ""
    assert "baseline" in [event["phase"] for event in events.of("repair")]
