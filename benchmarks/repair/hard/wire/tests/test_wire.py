import doctest

import pytest
import wire.frames
from wire.frames import encode, frames
from wire.server import answer


def test_examples():
    assert doctest.testmod(wire.frames).failed == 0


@pytest.mark.parametrize(
    ("line", "expected"),
    [("upper abc", "ok ABC"), ("lower ABC\n", "ok abc"), ("turn a b", "ok b a"), ("dance", "error unknown dance")],
)
def test_answer(line, expected):
    assert answer(line) == expected


def test_client(client):
    assert client.ask("upper hello") == "ok HELLO"
    assert client.ask("turn abc") == "ok cba"
    assert client.ask("nothing") == "error unknown nothing"


@pytest.mark.parametrize("texts", [[], [""], ["a"], ["a", "", "bc:d", "12:x"], ["long " * 50]])
def test_frames_there_and_back(texts):
    assert list(frames("".join(encode(text, "a", "b2") for text in texts))) == texts


@pytest.mark.parametrize("data", ["x", "5:abc", "1:a2:b", ":a", "a;:b", "x" * 40 + "!"])
def test_bad_frames(data):
    with pytest.raises(ValueError):
        list(frames(data))
