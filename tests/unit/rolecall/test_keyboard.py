import pytest

from rolecall.terminal.keyboard import Keyboard


@pytest.mark.parametrize(
    ("keys", "lines", "left"),
    [
        pytest.param([b"hello\n"], ["hello"], "", id="line"),
        pytest.param([b"he", b"llo\r", b"you"], ["hello"], "you", id="pieces"),
        pytest.param([b"hellp\x7fo\n"], ["hello"], "", id="backspace"),
        pytest.param([b"wrong\x15right\n"], ["right"], "", id="wipe"),
        pytest.param([b"a\x1b[Cb\x1b[3~c\n"], ["abc"], "", id="arrows and delete"),
        pytest.param([b"\n  \n"], [], "", id="blank"),
        pytest.param(["grün".encode()[:3], "grün".encode()[3:], b"\n"], ["grün"], "", id="split letter"),
        pytest.param([b"\x04"], ["END"], "", id="end"),
        pytest.param([b"a\x04b\n"], ["ab"], "", id="no end within a line"),
        pytest.param([b"one\ntwo\n"], ["one", "two"], "", id="two lines"),
    ],
)
def test_keys_become_lines(keys: list[bytes], lines: list[str], left: str) -> None:
    seen: list[str] = []
    typed: list[str] = []
    keyboard = Keyboard(seen.append, typed.append, lambda: seen.append("END"))

    for piece in keys:
        keyboard.feed(piece)

    assert (seen, typed[-1]) == (lines, left)
