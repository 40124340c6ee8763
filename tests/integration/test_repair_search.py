"""The repair search on real small programs, in its own process, against real test runs."""

import asyncio
import hashlib
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import psutil
import pytest

from tools.repair.engine import RepairRequest, search_repair
from tools.repair.result import RepairEvent, RepairResult

COUNT = """
    def below(numbers, limit):
        found = []
        for number in numbers:
            if number <= limit:
                found.append(number)
        return found
"""
COUNT_TESTS = """
    import pytest
    from program import below

    @pytest.mark.parametrize("limit,wanted", [(0, []), (1, []), (2, [1]), (9, [1, 2, 3])])
    def test_below(limit, wanted):
        assert below([1, 2, 3], limit) == wanted

    def test_nothing():
        assert below([], 3) == []
"""
ENDLESS = """
    def digits(number):
        found = []
        while number >= 0:
            found.append(number % 10)
            number //= 10
        return found
"""
ENDLESS_TESTS = """
    from program import digits

    def test_two():
        assert digits(42) == [2, 4]

    def test_one():
        assert digits(7) == [7]
"""
UNITTEST = """
    class Shelf:
        def __init__(self, books=[]):
            self.books = books

        def put(self, book):
            self.books.append(book)
            return len(self.books)
"""
UNITTEST_TESTS = """
    import unittest
    from program import Shelf

    class ShelfTest(unittest.TestCase):
        def test_first(self):
            self.assertEqual(Shelf().put("a"), 1)

        def test_own_books(self):
            with self.subTest("second shelf"):
                Shelf().put("a")
                self.assertEqual(Shelf().put("b"), 1)

        def test_given(self):
            self.assertEqual(Shelf(["x"]).put("y"), 2)
"""
REMEMBERED = """
    SEEN = {}

    def rest(number, other):
        if (number, other) not in SEEN:
            SEEN[number, other] = number + other
        return SEEN[number, other]
"""
REMEMBERED_TESTS = """
    from program import rest

    def test_rest():
        assert rest(9, 4) == 1

    def test_smaller():
        assert rest(2, 9) == 2
"""
IMPORTED = """
    SIZES = {"small": 1, "large": 3}
    DEFAULT = SIZES["huge"]

    def size(name=None):
        return DEFAULT if name is None else SIZES[name]
"""
IMPORTED_TESTS = """
    from program import size

    def test_default():
        assert size() == 3

    def test_named():
        assert size("small") == 1
"""


def program(root: Path, text: str, tests: str) -> Path:
    (root / "program.py").write_text(dedent(text), encoding="utf-8")
    (root / "test_program.py").write_text(dedent(tests), encoding="utf-8")
    return root


def picture(root: Path) -> dict[str, str]:
    files = [path for path in root.rglob("*") if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def request_for(root: Path, budget_s: float) -> RepairRequest:
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return RepairRequest(root=root, python=sys.executable, env=env, budget_s=budget_s)


async def repair(root: Path, budget_s: float = 40.0) -> RepairResult:
    before = picture(root)
    result = await search_repair(request_for(root, budget_s))
    assert picture(root) == before
    return result


async def passes(root: Path, result: RepairResult) -> bool:
    """Whether a plain pytest is green with the first patch made by exact replacement."""
    for edit in result.patches[0].edits:
        path = root / edit.path
        text = path.read_text(encoding="utf-8")
        assert text.count(edit.old) == 1
        path.write_text(text.replace(edit.old, edit.new), encoding="utf-8")
    argv = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", str(root)]
    process = await asyncio.create_subprocess_exec(*argv, cwd=root, stdout=asyncio.subprocess.DEVNULL)
    return await process.wait() == 0


@pytest.mark.parametrize(
    ("text", "tests", "line"),
    [
        (COUNT, COUNT_TESTS, "if number < limit:"),
        (ENDLESS, ENDLESS_TESTS, "while number > 0:"),
        (UNITTEST, UNITTEST_TESTS, "if books is None:"),
        (IMPORTED, IMPORTED_TESTS, 'DEFAULT = SIZES["large"]'),
        (REMEMBERED, REMEMBERED_TESTS, "SEEN[number, other] = number % other"),
    ],
    ids=["boundary", "endless loop", "mutable default in unittest", "error on import", "results remembered"],
)
async def test_fault_is_mended_and_the_tree_is_left_alone(tmp_path: Path, text: str, tests: str, line: str) -> None:
    root = program(tmp_path, text, tests)
    result = await repair(root)
    assert result.status == "plausible", result
    assert line in result.patches[0].diff
    assert result.patches[0].reason
    assert await passes(root, result)


async def test_package_under_src_is_found_and_tests_are_not_edited(tmp_path: Path) -> None:
    package = tmp_path / "src" / "tools"
    package.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\npythonpath = ["src"]\n', encoding="utf-8")
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "core.py").write_text("def twice(n):\n    return n + 2\n", encoding="utf-8")
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "conftest.py").write_text(
        "import pytest\n\n@pytest.fixture\ndef three():\n    return 3\n", encoding="utf-8"
    )
    (tests / "test_core.py").write_text(
        "from tools.core import twice\n\n\ndef test_twice(three):\n    assert twice(three) == 6\n\n\n"
        "def test_two():\n    assert twice(2) == 4\n",
        encoding="utf-8",
    )
    result = await repair(tmp_path)
    assert {edit.path for patch in result.patches for edit in patch.edits} == {"src/tools/core.py"}


async def test_a_program_whose_own_files_are_collected_for_their_examples_is_mended(tmp_path: Path) -> None:
    shown = COUNT.replace(
        "limit):\n", 'limit):\n        """Those below.\n\n        >>> below([1], 2)\n        [1]\n        """\n'
    )
    root = program(tmp_path, shown, COUNT_TESTS)
    (root / "pytest.ini").write_text("[pytest]\naddopts = --doctest-modules\n", encoding="utf-8")
    result = await repair(root)
    assert "if number < limit:" in result.patches[0].diff, result


async def test_tests_with_the_time_in_their_names_do_not_stop_the_repair(tmp_path: Path) -> None:
    timed = """
    import time

    @pytest.mark.parametrize("limit", [time.time_ns(), time.time_ns() + 1])
    def test_now(limit):
        assert below([1, limit + 1], limit) == [1]
    """
    root = program(tmp_path, COUNT, dedent(COUNT_TESTS) + dedent(timed))
    result = await repair(root)
    assert "if number < limit:" in result.patches[0].diff, result
    assert "passes all 7 tests" in result.patches[0].claim


async def test_failures_outside_the_program_do_not_stop_the_repair(tmp_path: Path) -> None:
    root = program(tmp_path, COUNT, COUNT_TESTS)
    (root / "test_other.py").write_text("import missing_third_party\n", encoding="utf-8")
    (root / "test_broken.py").write_text("def test_setup(no_such_fixture):\n    pass\n", encoding="utf-8")
    result = await repair(root)
    assert "if number < limit:" in result.patches[0].diff
    assert "2 failures outside the program were set aside" in result.stop_reason


async def test_green_tests_need_no_repair(tmp_path: Path) -> None:
    text = COUNT.replace("<=", "<")
    result = await repair(program(tmp_path, text, COUNT_TESTS))
    assert (result.status, result.patches, result.passing) == ("nothing_fails", (), 5)


async def test_no_tests_are_said_to_be_unusable(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("x = 1\n", encoding="utf-8")
    assert (await repair(tmp_path)).status == "unusable_tests"


async def test_a_plug_in_that_makes_a_folder_makes_it_elsewhere(tmp_path: Path) -> None:
    root = program(tmp_path, COUNT.replace("<=", "<"), COUNT_TESTS)
    (root / "pytest_benchmark.py").write_text(
        "import pathlib\n\n"
        "def pytest_addoption(parser):\n"
        "    parser.addoption('--benchmark-disable', action='store_true')\n"
        "    parser.addoption('--benchmark-storage', default='file://./.benchmarks')\n\n"
        "def pytest_configure(config):\n"
        "    where = config.getoption('--benchmark-storage').removeprefix('file://')\n"
        "    pathlib.Path(where).mkdir(parents=True, exist_ok=True)\n",
        encoding="utf-8",
    )
    (root / "pytest.ini").write_text("[pytest]\naddopts = -p pytest_benchmark\n", encoding="utf-8")
    loading = {name: value for name, value in os.environ.items() if name != "PYTEST_DISABLE_PLUGIN_AUTOLOAD"}
    result = await search_repair(replace(request_for(root, 20.0), env=loading))
    assert result.status == "nothing_fails", result
    assert not list(root.rglob(".benchmarks"))


async def test_hopeless_fault_ends_with_suspicious_lines(tmp_path: Path) -> None:
    text = "def answer(question):\n    return len(question)\n"
    tests = (
        "from program import answer\n\ndef test_a():\n    assert answer('why') == 'because'\n\n"
        "def test_b():\n    assert answer('who') == 'nobody knows him'\n"
    )
    result = await repair(program(tmp_path, text, tests), budget_s=8.0)
    assert result.status == "none"
    assert (result.suspicious[0].path, result.suspicious[0].line) == ("program.py", 2)
    assert result.tried > 0


async def test_weak_tests_show_a_call_that_tells_patches_apart(tmp_path: Path) -> None:
    text = "def area(width, height):\n    return width - height\n"
    tests = "from program import area\n\ndef test_a():\n    assert area(2, 2) == 4\n"
    result = await repair(program(tmp_path, text, tests))
    assert len({patch.cluster for patch in result.patches}) > 1
    assert result.disagreement is not None
    assert result.disagreement.call.startswith("area(")
    assert len(result.disagreement.outputs) == len(result.patches)
    assert {patch.confidence for patch in result.patches} == {"low"}
    assert "only 1 test runs the edited line" in result.patches[0].reason


async def test_cancelled_search_leaves_no_process_and_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "tmp"
    root = tmp_path / "root"
    temporary.mkdir()
    root.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    program(root, ENDLESS, ENDLESS_TESTS)
    begun = asyncio.Event()

    def on_event(event: RepairEvent) -> None:
        if event.kind == "baseline":
            begun.set()

    search = asyncio.create_task(search_repair(request_for(root, 60.0), on_event=on_event))
    await asyncio.wait_for(begun.wait(), 40)
    search.cancel()
    with pytest.raises(asyncio.CancelledError):
        await search
    here = str(root)
    assert list(temporary.iterdir()) == []
    assert not [p.pid for p in psutil.process_iter(["cwd", "status"]) if p.info["cwd"] == here]
