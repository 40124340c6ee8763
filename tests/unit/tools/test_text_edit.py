"""A piece of text that is not there: what is nearest to it, found in bounded time."""

import asyncio
import time

import pytest

from core.errors import ToolError
from tests.unit.tools.calling import call, context_of
from tools.files.text_edit import replace_once

SIMILAR = "".join(f"    value_{n} = compute(value_{n - 1}, factor={n})\n" for n in range(3000))


def wrong(first: int, last: int) -> str:
    return "".join(f"    value_{n} = compute(value_{n - 1}, factors={n}, x)\n" for n in range(first, last))


def told(text: str, old: str) -> str:
    with pytest.raises(ToolError) as caught:
        replace_once(text, old, "something else")
    return caught.value.message


@pytest.mark.parametrize("count", [1, 2, 30, 100])
def test_the_nearest_lines_are_found_among_similar_ones(count: int) -> None:
    shown = told(SIMILAR, wrong(1500, 1500 + count))
    assert "  1501\t    value_1500 = compute(value_1499, factor=1500)\n"[:-1] in shown


def test_a_word_with_a_slip_is_found() -> None:
    text = "import os\n\n\ndef function(argument):\n    return argument\n\n\ndef other():\n    pass\n"
    assert "     4\tdef function(argument):" in told(text, "def functoin(argument):")


def test_in_a_long_text_the_right_part_is_looked_at() -> None:
    text = "".join(f"row {n}: {'lorem ipsum ' * 5}\n" for n in range(20_000)) + "def last(a, b):\n    return a + b\n"
    assert "def last(a, b):\n" in told(text, "def last(a, b):\n    return a + b + c\n")


@pytest.mark.parametrize(("text", "old"), [
    pytest.param(SIMILAR, wrong(1500, 1530), id="30 lines in 3000"),
    pytest.param(SIMILAR, wrong(100, 200), id="100 lines in 3000"),
    pytest.param(SIMILAR * 60, wrong(1500, 1530), id="8 MB of text"),
    pytest.param("x = 1 " * 1_500_000, "y = 2 " * 1_000_000, id="one line each"),
    pytest.param(SIMILAR, "y" * 8_000_000, id="8 MB wanted"),
    pytest.param(SIMILAR * 40, SIMILAR * 39 + "q", id="as many lines"),
    pytest.param("a" * 9_000_000, "a", id="nine million places"),
])  # fmt: skip
def test_the_work_is_bounded(text: str, old: str) -> None:
    started = time.thread_time()
    assert len(told(text, old)) < 30_000
    assert time.thread_time() - started < 3


async def test_the_loop_stays_free_while_a_wrong_edit_is_answered(tmp_path) -> None:
    context = await context_of(tmp_path / "repo", {"big.py": SIMILAR * 10})
    lags: list[float] = []

    async def beat() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            lags.append(time.monotonic() - before - 0.01)

    beating = asyncio.create_task(beat())
    answer = await call(context, "edit_file", path="big.py", old=wrong(1500, 1600), new="x")
    beating.cancel()
    assert "the closest lines are" in answer.text
    assert max(lags) < 0.5
