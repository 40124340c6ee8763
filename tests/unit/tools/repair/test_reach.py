"""What the search concludes from lines, tests and reports."""

import doctest
from pathlib import Path

import pytest
from rolecall_search.candidates import Candidate
from rolecall_search.evidence.baseline import TestRun as Run
from rolecall_search.evidence.hints import crash_places
from rolecall_search.program.source import Edit, SourceFile
from rolecall_search.ranking.overfit import cost
from rolecall_search.ranking.reach import moved
from rolecall_search.runtime.hosting import OTHER, PASSED, judge, root_error
from rolecall_search.trials.validate import Plan


def test_lines_below_an_inserted_line_move() -> None:
    place = moved("a\nb\nc\n", "a\nnew\nb\nc\n")
    assert [place(line) for line in (1, 2, 3)] == [1, 3, 4]


def test_a_changed_line_has_no_place() -> None:
    place = moved("a\nb\nc\n", "a\nB\nc\n")
    assert [place(line) for line in (1, 2, 3)] == [1, 0, 3]


def test_the_fastest_failing_test_is_the_gate() -> None:
    plan = Plan([1, 2, 3], [4, 5], {1: 0.5, 2: 0.1, 3: 0.2, 4: 0.3, 5: 0.1})
    for _ in range(3):
        plan.killed_by(1)
    assert plan.order(frozenset({4})) == ([2, 1, 3], [4])


def test_a_dropped_test_is_not_run_again() -> None:
    plan = Plan([1, 2], [3], {1: 0.1, 2: 0.2, 3: 0.1})
    plan.drop(1)
    plan.drop(3)
    assert plan.order(frozenset({3})) == ([2], [])


def test_a_skipped_sub_test_leaves_its_test_passed() -> None:
    reports = [("setup", "passed", False), ("call", "skipped", False), ("call", "passed", False)]
    assert judge(reports) == PASSED
    assert judge(reports[:2]) == OTHER


def test_a_crash_is_placed_at_the_innermost_line_of_the_program() -> None:
    run = Run(0, "t", "failed", 0.0, frames=[("", 3), ("/p/a.py", 7), ("", 9)], error="TypeError")
    made = crash_places([run], {"tests/t.py": "KeyError"}, {"tests/t.py": [("/p/b.py", 2)]})
    assert made == {("/p/a.py", 7, "TypeError"), ("/p/b.py", 2, "KeyError")}


def test_a_patch_that_leaves_a_value_unread_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text("def run(key):\n    value = load(key)\n    put(key, value)\n", encoding="utf-8")
    source = SourceFile.load(str(path), "program.py")
    at = source.text.rindex("value")

    def made(text: str) -> Candidate:
        return Candidate(source, source.units[0], (Edit(at, at + 5, text),), "another variable", 3, 1.0)

    assert cost(made("key")) < 1
    assert cost(made("value or 0")) == 1


def test_the_error_of_a_doctest_is_the_one_its_example_raised() -> None:
    test = doctest.DocTestParser().get_doctest(">>> missing\n1\n", {}, "page", "page.rst", 0)
    with pytest.raises(doctest.UnexpectedException) as caught:
        doctest.DebugRunner().run(test)
    assert root_error(caught.value) == "NameError"
