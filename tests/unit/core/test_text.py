"""What foreign text may do to a terminal: nothing."""

import json

import pytest

from core.text import safe_json, visible, visible_line

ESC, BEL, ST, CSI = "\x1b", "\x07", "\x1b\\", "\x9b"


@pytest.mark.parametrize(
    "payload",
    [
        f"{ESC}]0;title{BEL}", f"{ESC}]2;title{ST}", f"{ESC}]52;c;bHM={BEL}", f"{ESC}]8;;http://evil{ST}x{ESC}]8;;{ST}",
        f"{ESC}[2J{ESC}[H", f"{ESC}[1A{ESC}[2K", f"{CSI}31m", f"{ESC}P+q{ST}", f"{ESC}_G;{ST}", f"{ESC}c", "\x90x\x9c",
        "green\rred", "ab\b\bcd", "\x00\x07\x0b\x0c\x7f", "\u202egnp.exe", "\u2066x\u2069", "\u200e\u200f\u061c",
        "pay\u200bpal", "a\u2060b\ufeffc\u00ad", "\u2028\u2029\x85", "\U000e0041\U000e007f", "\u3164\u115f\u2800",
        "\ud800", "caf\udce9", "\ufff9\ufffb",
    ],
)  # fmt: skip
def test_nothing_that_drives_or_deceives_a_terminal_stays(payload: str) -> None:
    shown = visible(f"before {payload} after")

    assert shown.startswith("before ")
    assert shown.endswith(" after")
    assert not set(payload) - {*map(chr, range(0x20, 0x7F))} & set(shown)
    assert "\\" in shown
    assert visible(shown) == shown
    shown.encode()


def test_what_was_hidden_can_be_read() -> None:
    assert visible("\x1b[31mred\r") == "\\x1b[31mred\\x0d"
    assert visible("\u202eevil \udcff") == "\\u202eevil \\xff"


@pytest.mark.parametrize("text", ["äöü ß 日本語 العربية", "a\tb\nc", "\N{GRINNING FACE} ❤\ufe0f", "a\u00a0b\u3000c"])
def test_what_is_only_foreign_stays(text: str) -> None:
    assert visible(text) == text


def test_a_single_line_stays_a_single_line() -> None:
    assert visible_line("one\n  two\tthree\x1b") == "one two three\\x1b"


def test_json_means_the_same_and_holds_nothing_raw() -> None:
    data = {"a": "\x1b]0;x\x07 \x9b \u202e \U000e0041 \x7f ä", "b": ["\ud800"]}
    text = json.dumps(data, ensure_ascii=False, indent=2)

    safe = safe_json(text)

    assert json.loads(safe) == data
    assert visible(safe) == safe
    assert "ä" in safe
