import pytest
from shell.commands import Reverser, ask, count_words
from shell.settings import expand, nearest, read


@pytest.mark.parametrize(("text", "count"), [("", 0), ("one", 1), ("one two\nthree", 3)])
def test_count_words(text, count):
    assert count_words(text) == count


def test_reverser():
    made = Reverser()
    assert made.turn("abc") == "cba"
    assert made.turn("xy") == "yx"
    assert made.close() == 0


def test_defaults_are_taken():
    assert ask("Where to?", "here") == "here"


def test_answers_are_stripped(monkeypatch):
    monkeypatch.setattr("builtins.input", lambda prompt: f" {prompt} ")
    assert ask("Who?") == "Who?"


def test_read():
    text = "# head\na = 1\n\nb = x \\\n  y \\\n  z\nc=\n"
    assert read(text) == {"a": "1", "b": "x y z", "c": ""}
    assert read("a = 1 \\") == {"a": "1 \\"}


@pytest.mark.parametrize(
    ("text", "expected"), [("plain", "plain"), ("${a}", "1"), ("<${b}>", "<1+1>"), ("${x}!", "!"), ("", "")]
)
def test_expand(text, expected):
    assert expand(text, {"a": "1", "b": "${a}+${a}"}) == expected


def test_circles():
    with pytest.raises(ValueError):
        expand("${a}", {"a": "${b}", "b": "${a}"})


@pytest.mark.parametrize(("size", "expected"), [(0, 1), (1, 1), (3, 4), (1000, 1024), (1024, 1024), (5000, 1024)])
def test_nearest(size, expected):
    assert nearest(size) == expected
