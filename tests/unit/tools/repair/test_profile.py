"""Types are recorded as values are, not as exceptions make them look."""

import contextlib
import sys
from typing import Any

import pytest
from rolecall_search.evidence.profile import Recorder


def raising(items: list[int]) -> int:
    return max(items)


def nothing() -> None:
    return None


@pytest.mark.parametrize(("call", "wanted"), [(lambda: raising([]), set()), (nothing, {"NoneType"})])
def test_leaving_by_an_exception_returns_nothing(call: Any, wanted: set[str]) -> None:
    recorder = Recorder(lambda name: name if name == __file__ else "")
    before = sys.getprofile()
    sys.setprofile(recorder)
    try:
        with contextlib.suppress(ValueError):
            call()
    finally:
        sys.setprofile(before)
    first = {raising.__code__.co_firstlineno, nothing.__code__.co_firstlineno}
    assert {kind for (_, line), kinds in recorder.results.items() if line in first for kind in kinds} == wanted
