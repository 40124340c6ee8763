"""Examples in docstrings tell patches apart that pass all tests."""

import types

from rolecall_search.evidence.baseline import Baseline
from rolecall_search.evidence.localize import Suspicion
from rolecall_search.ranking.cluster import Behaviour
from rolecall_search.ranking.examples import count_failing
from rolecall_search.ranking.rank import rank
from rolecall_search.trials.jobs import Found

from tests.unit.tools.repair.test_ranking import patched


def test_examples_that_fail_are_counted() -> None:
    module = types.ModuleType("shapes")
    exec(
        'def twice(a):\n    """\n    >>> twice(2)\n    4\n    >>> twice(1)\n    3\n    """\n    return 2 * a\n',
        vars(module),
    )
    module.twice.__module__ = "shapes"
    assert count_failing(module) == 1


def test_a_patch_against_an_example_comes_last(tmp_path) -> None:  # type: ignore[no-untyped-def]
    text = "def run(a, b):\n    return a - b\n"
    found = [Found(patched(tmp_path, text, "a - b", new), 0.0) for new in ("b + a", "a + b")]
    _, places = rank(found, Baseline(), Suspicion(), Behaviour(), {}, [1, 0])
    assert places == [1, 0]
    assert rank(found, Baseline(), Suspicion(), Behaviour(), {})[1] == [0, 1]
