"""Examples in docstrings tell patches apart that pass all tests."""

import types
from typing import Any

import pytest
from rolecall_search.evidence.baseline import Baseline
from rolecall_search.evidence.localize import Suspicion
from rolecall_search.ranking.cluster import Behaviour
from rolecall_search.ranking.examples import Examples, failing_examples
from rolecall_search.ranking.rank import label, rank
from rolecall_search.trials.jobs import Found

from tests.unit.tools.repair.test_ranking import patched

BROKEN = Examples(broken=frozenset({"shapes.run"}))
MENDED = Examples(mended=frozenset({"shapes.run"}))
SHAPES = '''
def twice(a):
    """
    >>> twice(2)
    4
    >>> twice(1)
    3
    """
    return 2 * a

def endless(a):
    """
    >>> endless(2)
    2
    """
    while a:
        pass

def fine():
    """
    >>> fine()
    """
'''


def test_examples_that_fail_or_hang_are_named() -> None:
    module = types.ModuleType("shapes")
    exec(SHAPES, vars(module))
    assert sorted(failing_examples([module], 0.2)) == ["shapes.endless", "shapes.twice"]


@pytest.mark.parametrize("examples", [[BROKEN, Examples()], [Examples(), MENDED]], ids=["breaks one", "mends none"])
def test_a_patch_against_an_example_comes_last(tmp_path: Any, examples: list[Examples]) -> None:
    text = "def run(a, b):\n    return a - b\n"
    found = [Found(patched(tmp_path, text, "a - b", new), 0.0) for new in ("b + a", "a + b")]
    _, places = rank(found, Baseline(), Suspicion(), Behaviour(), {}, examples)
    assert places == [1, 0]
    assert rank(found, Baseline(), Suspicion(), Behaviour(), {})[1] == [0, 1]


def test_a_patch_that_breaks_an_example_is_labelled_low_and_says_so(tmp_path: Any) -> None:
    found = [Found(patched(tmp_path, "def run(a, b):\n    return a - b\n", "a - b", "a + b"), 0.0)]
    ranked, _ = rank(found, Baseline(), Suspicion(), Behaviour(), {}, [BROKEN])
    confidence, reason = label(ranked[0], 0, 1, Behaviour())
    assert confidence == "low"
    assert "the examples in the docstring of shapes.run pass no more" in reason
