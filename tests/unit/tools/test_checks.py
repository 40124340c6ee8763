"""Which checks a repository has, and that they are run for real."""

import json
import os
import shutil
from pathlib import Path

import pytest

from core.config.settings import CheckSettings, Settings
from tests.repositories import make_repository, thread, write
from tests.unit.tools.assembly import open_toolset
from tests.unit.tools.bench import Events
from tools.target.check_detection import detect_checks
from tools.target.checks import RepositoryChecks

TEST = "def test_one():\n    assert 1 == 1\n"
CASE = "import unittest\nclass T(unittest.TestCase):\n    def test_one(self):\n        self.assertEqual(1, 2)\n"


def detected(folder: Path, files: dict[str, str], *, has_pytest: bool = True) -> tuple[str, ...]:
    write(folder, files)
    return detect_checks(folder, sorted(files), has_pytest=has_pytest)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"tests/test_a.py": TEST}, ("python -m pytest -q",)),
        ({"pkg/a_test.py": TEST}, ("python -m pytest -q",)),
        ({"pyproject.toml": "[tool.pytest.ini_options]\npython_files = ['check_*.py']\n"}, ("python -m pytest -q",)),
        ({"pyproject.toml": "[tool.pytest.ini_options]\n"}, ()),
        ({"pyproject.toml": "not toml [", "test_a.py": TEST}, ("python -m pytest -q",)),
        ({"testing.py": "x = 1\n"}, ()),
        ({"test/testcalc.py": CASE}, ("python -m unittest discover -s test",)),
        ({"package.json": '{"scripts": {"test": "jest"}}'}, ("npm test",)),
        ({"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'}, ()),
        ({"package.json": "broken"}, ()),
        ({"package.json": "[]"}, ()),
        ({"Cargo.toml": "[package]"}, ("cargo test",)),
        ({"go.mod": "module x"}, ("go test ./...",)),
        ({"Cargo.toml": "[package]", "tests/test_a.py": TEST}, ("python -m pytest -q", "cargo test")),
        ({"Makefile": "all:\n\techo\ntest: all\n\t./run\n"}, ("make test",)),
        ({"Makefile": "check:\n\t./run\n"}, ("make check",)),
        ({"Makefile": "test := 3\n"}, ()),
        ({"Makefile": "test:\n\tpytest\n", "test_a.py": TEST}, ("python -m pytest -q",)),
        ({"noxfile.py": "import nox\n"}, ("nox",)),
        ({"tox.ini": "[testenv]\ncommands = ./run\n"}, ("tox",)),
        ({"tox.ini": "[pytest]\n", "test_a.py": TEST}, ("python -m pytest -q",)),
        ({"README.md": "# hello\n"}, ()),
    ],
)  # fmt: skip
def test_checks_are_read_off_the_files(tmp_path, files, expected) -> None:
    assert detected(tmp_path, files) == expected


@pytest.mark.parametrize("name", ["package.json", "Makefile", "tox.ini", "pyproject.toml", "setup.cfg", "pytest.ini"])
def test_links_pipes_and_huge_files_tell_nothing(tmp_path, name) -> None:
    text = '{"scripts": {"test": "x"}}' if name == "package.json" else "test:\n\n[pytest]\npython_files = x\n"
    write(tmp_path / "outside", {name: text})
    for kind in ("link", "pipe", "huge", "deep"):
        tree = tmp_path / kind
        tree.mkdir()
        match kind:
            case "link":
                (tree / name).symlink_to(tmp_path / "outside" / name)
            case "pipe":
                os.mkfifo(tree / name)
            case "huge":
                (tree / name).write_text(text)
                os.truncate(tree / name, 3 << 30)
            case "deep":
                (tree / name).write_text("x = " + "[" * 100_000)
        assert [check for check in detect_checks(tree, [name], has_pytest=False) if check != "tox"] == []


def test_the_name_of_a_folder_is_no_part_of_the_command(tmp_path) -> None:
    assert detected(tmp_path, {"x; touch y/testcalc.py": CASE}) == ("python -m unittest discover -s 'x; touch y'",)


def test_without_pytest_unittest_runs_the_same_tests(tmp_path) -> None:
    assert detected(tmp_path, {"tests/test_a.py": CASE}, has_pytest=False) == ("python -m unittest discover -s tests",)
    assert detected(tmp_path / "b", {"tests/test_a.py": TEST}, has_pytest=False) == ()


async def checks_of(
    folder: Path, files: dict[str, str], settings: CheckSettings, events: Events, given: tuple[str, ...] = ()
) -> RepositoryChecks:
    chosen = Settings(checks=settings)
    return (await open_toolset(make_repository(folder, files), thread(), chosen, events, checks=given)).checks


@pytest.mark.parametrize(("right", "green"), [("1", True), ("2", False)])
async def test_detected_tests_run_for_real(tmp_path, right, green) -> None:
    events = Events()
    files = {"calc.py": "def one():\n    return 1\n",
             "tests/test_calc.py": f"import calc\ndef test_one():\n    assert calc.one() == {right}\n"}  # fmt: skip
    checks = await checks_of(tmp_path / "calc", files, CheckSettings(), events)
    (run,) = await checks.run()
    assert run.passed is green
    assert run.command == "python -m pytest -q"
    assert ("1 passed" if green else "1 failed") in run.output
    (told,) = events.of("check_finished")
    assert (told["command"], told["exit_code"]) == (run.command, run.exit_code)
    assert json.dumps(told)


async def test_given_comes_before_configured_before_detected(tmp_path) -> None:
    files, settings = {"test_a.py": TEST}, CheckSettings(commands=("echo configured",))
    given = await checks_of(tmp_path / "a", files, settings, Events(), ("echo given", "false"))
    runs = await given.run()
    assert [(run.output, run.passed) for run in runs] == [("given\n", True), ("", False)]
    assert await (await checks_of(tmp_path / "b", files, settings, Events())).commands() == ("echo configured",)


async def test_a_check_that_hangs_is_red(tmp_path) -> None:
    settings = CheckSettings(commands=("sleep 60",), timeout_s=0.3)
    (run,) = await (await checks_of(tmp_path / "a", {"a": ""}, settings, Events())).run()
    assert run.timed_out
    assert not run.passed


async def test_unittest_cases_run_for_real(tmp_path) -> None:
    checks = await checks_of(tmp_path / "a", {"test/testcalc.py": CASE}, CheckSettings(), Events())
    (run,) = await checks.run()
    assert "unittest" in run.command
    assert "1 != 2" in run.output
    assert not run.passed


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not here")
async def test_make_runs_for_real(tmp_path) -> None:
    checks = await checks_of(tmp_path / "a", {"Makefile": "test:\n\t@echo made\n"}, CheckSettings(), Events())
    (run,) = await checks.run()
    assert run.output == "made\n"
    assert run.passed


async def test_a_result_holds_as_long_as_nothing_has_changed(tmp_path: Path) -> None:
    ran, events = tmp_path / "ran", Events()
    settings = Settings(checks=CheckSettings(commands=(f"echo x >> {ran}",)), sandbox={"mode": "host"})
    repo = make_repository(tmp_path / "a", {"a.txt": "a\n", ".gitignore": "local.txt\n"})
    tools = await open_toolset(repo, thread(), settings, events)
    root = tools.workspace.root

    async def times() -> int:
        (run,) = await tools.checks.run()
        assert run.passed
        return len(ran.read_text().split())

    assert [await times(), await times()] == [1, 1]
    last = events.of("check_finished")[-1]
    assert (last["reused"], last["seconds"], len(events.of("check_started"))) == (True, 0.0, 1)
    for changed, expected in (("a.txt", 2), ("new.txt", 3), ("local.txt", 4), (".env", 5)):
        (root / changed).write_text("changed\n")
        assert [await times(), await times()] == [expected, expected], changed
    await tools.commands.run("true")
    assert [await times(), await times()] == [6, 6]


async def test_a_check_that_ran_out_of_time_is_tried_again(tmp_path: Path) -> None:
    events = Events()
    settings = CheckSettings(commands=("sleep 60",), timeout_s=0.3)
    checks = await checks_of(tmp_path / "a", {"a": ""}, settings, events)
    assert [run.timed_out for run in (*await checks.run(), *await checks.run())] == [True, True]
    assert len(events.of("check_started")) == 2
