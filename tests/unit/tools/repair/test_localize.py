"""Suspicion grows with failing tests and shrinks with passing ones."""

from rolecall_search.evidence.baseline import Baseline
from rolecall_search.evidence.baseline import TestRun as Run
from rolecall_search.evidence.localize import add_imported, rank_import, rank_lines
from rolecall_search.repair import Repair
from rolecall_search.runtime.hosting import Host

FILE = "/p/m.py"


def test_line_of_the_failing_test_alone_is_the_most_suspicious() -> None:
    failing = [Run(0, "t0", "failed", 0.0, lines={FILE: [1, 2, 3]})]
    passing = [Run(1, "t1", "passed", 0.0, lines={FILE: [1, 2]}), Run(2, "t2", "passed", 0.0, lines={FILE: [1]})]
    scores = rank_lines(failing, passing).scores[FILE]
    assert scores[3] > scores[2] > scores[1] > 0


def test_crash_line_comes_before_its_equals() -> None:
    passing = [Run(1, "t1", "passed", 0.0, lines={FILE: [1, 2]})]
    failing = [Run(0, "t0", "failed", 0.0, frames=[(FILE, 2)], lines={FILE: [1, 2]})]
    scores = rank_lines(failing, passing).scores[FILE]
    assert scores[2] > scores[1]


def test_import_traceback_is_ranked_innermost_first() -> None:
    made = rank_import({FILE: [1, 2, 40]}, {"tests/t.py": [("/p/t.py", 1), (FILE, 40), (FILE, 2)]})
    assert [line for _, line, _ in made.top(2)] == [2, 40]


def test_lines_run_at_import_only_get_a_share() -> None:
    suspicion = rank_lines([Run(0, "t", "failed", 0.0, lines={FILE: [5]})], [])
    add_imported(suspicion, {FILE: [1, 5]}, lambda path, line: False)
    assert 0 < suspicion.scores[FILE][1] < suspicion.scores[FILE][5]


def test_a_failing_test_whose_lines_are_not_known_is_not_set_aside() -> None:
    seen = Run(0, "a", "failed", 0.1, lines={"/p/a.py": [1]}, traced=True)
    unseen = Run(1, "b", "failed", 0.1)
    outside = Run(2, "c", "failed", 0.1, traced=True)
    baseline = Baseline([seen, unseen, outside])
    repair = Repair.__new__(Repair)
    assert repair._set_aside(Host(None), baseline) == "; 1 failures outside the program were set aside"
    assert (baseline.aside, baseline.failing()) == (["c"], [seen, unseen])
