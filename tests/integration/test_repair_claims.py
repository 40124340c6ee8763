"""What the search says of a patch, against what a plain pytest says of the patched program."""

import asyncio
import shutil
import sys
from pathlib import Path

import pytest

from tests.integration.test_repair_search import passes, program, repair
from tools.repair.result import RepairResult

RECURSIVE = """
    def depth(node, limit=0):
        if limit is None:
            return 0
        return 1 + max((depth(child, limit) for child in node), default=0)

    def width(node):
        return len(node) + sum(width(child) for child in node) if node else depth(node)

    def flat(node, deep=False):
        found = []
        for child in node:
            if isinstance(child, list):
                found += flat(child) if deep else flat([child])
            else:
                found.append(child)
        return found
"""
RECURSIVE_TESTS = """
    from program import depth, flat, width

    def test_leaf():
        assert depth([]) == 1

    def test_endless():
        assert flat([1, [2, [3]]]) == [1, 2, 3]

    def test_deep():
        assert flat([1, [2]], True) == [1, 2]

    def test_endless_too():
        assert flat([[4]]) == [4]

    def test_width():
        assert width([[], []]) == 4
"""
TWO_FAULTS = """
    def low(numbers):
        return max(numbers)

    def spread(numbers):
        return max(numbers) + min(numbers)

    def count(numbers):
        return len(numbers)
"""
TWO_FAULTS_TESTS = """
    import pytest
    from program import count, low, spread

    @pytest.mark.parametrize("numbers,wanted", [([1, 2, 3], 1), ([5, 4], 4), ([7], 7), ([9, 8, 9], 8)])
    def test_low(numbers, wanted):
        assert low(numbers) == wanted

    @pytest.mark.parametrize("numbers,wanted", [([1, 2, 3], 2), ([5, 4], 1), ([7], 0), ([0, 8], 8)])
    def test_spread(numbers, wanted):
        assert spread(numbers) == wanted

    def test_count():
        assert count([1, 2]) == 2
"""
OUTSIDE_TESTS = """
    import shutil
    from program import count

    def test_count():
        assert count([1, 2]) == 3

    def test_machine():
        assert shutil.which("no-such-program-anywhere")
"""


async def red_tests(root: Path, result: RepairResult) -> set[str]:
    """The tests that a plain pytest finds red with the first patch."""
    await passes(root, result)
    argv = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rfE", "--tb=no", str(root)]
    process = await asyncio.create_subprocess_exec(*argv, cwd=root, stdout=asyncio.subprocess.PIPE)
    said = (await process.communicate())[0].decode()
    return {line.split()[1] for line in said.splitlines() if line.startswith(("FAILED ", "ERROR "))}


async def test_a_test_that_recurses_without_end_stays_in_the_claim(tmp_path: Path) -> None:
    root = program(tmp_path, RECURSIVE, RECURSIVE_TESTS)
    result = await repair(root)
    assert set(result.failing) == {"test_program.py::test_endless", "test_program.py::test_endless_too"}
    assert (result.status, result.patches[0].validated_by) == ("plausible", 5)
    assert result.patches[0].claim == "passes all 5 tests"
    assert await red_tests(root, result) == set()


async def test_two_faults_are_mended_one_after_the_other(tmp_path: Path) -> None:
    root = program(tmp_path, TWO_FAULTS, TWO_FAULTS_TESTS)
    result = await repair(root)
    assert result.status == "plausible", result
    assert "min(numbers)" in result.patches[0].diff
    assert "- min(numbers)" in result.patches[0].diff
    assert result.patches[0].validated_by == 9
    assert await red_tests(root, result) == set()


async def test_what_mends_a_part_of_the_tests_is_kept_and_says_which(tmp_path: Path) -> None:
    tests = TWO_FAULTS_TESTS + "\n    def test_never():\n        assert count([]) == 'seven hundred'\n"
    root = program(tmp_path, TWO_FAULTS.replace("return max(numbers)\n", "return min(numbers)\n"), tests)
    result = await repair(root, budget_s=16.0)
    assert result.status == "partial", result
    best = result.patches[0]
    assert {name.split("[")[0] for name in best.mended} == {"test_program.py::test_spread"}
    assert best.still_failing == ("test_program.py::test_never",)
    assert best.claim == "passes 9 of 10 tests; 1 still fails: test_program.py::test_never"
    assert await red_tests(root, result) == set(best.still_failing)


async def test_a_failure_outside_the_program_is_named_in_the_claim(tmp_path: Path) -> None:
    root = program(tmp_path, TWO_FAULTS.replace("return len(numbers)", "return len(numbers) + 2"), OUTSIDE_TESTS)
    result = await repair(root)
    assert result.patches[0].claim == "passes 1 of 2 tests; 1 still fails: test_program.py::test_machine"
    assert await red_tests(root, result) == {"test_program.py::test_machine"}


@pytest.mark.parametrize("ending", ["os._exit(0)", "os.abort()", "ctypes.string_at(0)"])
async def test_a_test_that_ends_the_interpreter_is_a_failing_test(tmp_path: Path, ending: str) -> None:
    text = f"""
        import ctypes
        import os

        def at(items, place):
            if place > len(items):
                {ending}
            return items[place - 1]

        def last(items):
            return at(items, len(items) + 1)
    """
    tests = """
        from program import at, last

        def test_at():
            assert at([1, 2], 1) == 1

        def test_last():
            assert last([1, 2]) == 2

        def test_last_of_one():
            assert last([3]) == 3
    """
    root = program(tmp_path, text, tests)
    result = await repair(root)
    assert set(result.failing) == {"test_program.py::test_last", "test_program.py::test_last_of_one"}
    assert result.status == "plausible", result
    assert await red_tests(root, result) == set()
    assert shutil.which("python3")


async def test_an_import_that_ends_the_interpreter_is_named(tmp_path: Path) -> None:
    root = program(tmp_path, "import os\n\nos._exit(0)\n", "import program\n\ndef test_a():\n    assert program\n")
    result = await repair(root, budget_s=15.0)
    assert (result.status, result.failing) == ("unusable_tests", ("test_program.py",))
    assert "importing test_program.py" in result.stop_reason


async def test_an_example_in_a_docstring_tells_patches_apart(tmp_path: Path) -> None:
    text = """
        def price(count, rate=2):
            '''What some cost.

            >>> price(2)
            4
            '''
            return count * rate
    """
    tests = """
        from program import price

        def test_price():
            assert price(1) == 3

        def test_rate():
            assert price(2, 2) == 4
    """
    result = await repair(program(tmp_path, text, tests))
    assert "+    return count + rate" in result.patches[0].diff
    assert any("rate=3" in patch.diff for patch in result.patches[1:])
