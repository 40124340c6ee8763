import doctest
import os
import signal

import native.buffers
import pytest
from native.buffers import filled, grow, joined, length
from native.tool import Guard, isolated, run


def test_examples():
    assert doctest.testmod(native.buffers).failed == 0


@pytest.mark.parametrize(("text", "expected"), [("", 0), ("abc", 3), ("ü", 2), ("a\0b", 1), (None, 0)])
def test_length(text, expected):
    assert length(text) == expected


@pytest.mark.parametrize(("size", "expected"), [(0, 0), (5, 5), (4096, 4096), (5000, 4096), (10**15, 4096)])
def test_filled(size, expected):
    buffer = filled(size, 7)
    assert len(buffer) == expected
    assert set(buffer) <= {7}


@pytest.mark.parametrize(("items", "least", "expected"), [([1], 3, [1, 1, 1]), ([1, 2], 3, [1, 2, 1, 2]), ([], 9, [])])
def test_grow(items, least, expected):
    assert grow(items, least) == expected


def test_grow_leaves_the_items():
    items = [1, 2]
    grow(items, 5)
    assert items == [1, 2]


@pytest.mark.parametrize(
    ("parts", "expected"), [([], []), ([[1], [], [2, 3]], [1, 2, 3]), ([[1], [0, 2], [3]], [0, 2, 3])]
)
def test_joined(parts, expected):
    assert joined(parts) == expected


def test_many_parts():
    assert joined([[1], *[()] * 1_000_000, [2]]) == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [("", 2), ("sum 1 2", 0), ("sum 1 x", 2), ("stop", 0), ("stop 7", 7), ("stop x", 2), ("dance", 64)],
)
def test_run(arguments, code):
    assert run(arguments.split()) == code


def test_sum_is_printed(capsys):
    run(["sum", "1", "2"])
    assert capsys.readouterr().out == "3\n"


def test_guard():
    with Guard() as guard:
        assert not guard.asked
        os.kill(os.getpid(), signal.SIGINT)
    assert guard.asked


@pytest.mark.parametrize(("number", "expected"), [(3, 9), (0, 0), (16, 0), (17, 33)])
def test_isolated(number, expected):
    assert isolated(number) == expected
