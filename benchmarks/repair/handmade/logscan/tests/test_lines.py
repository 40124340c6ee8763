from datetime import datetime

import pytest
from logscan.lines import LineError, parse_all, parse_level, parse_line


def test_a_full_line():
    record = parse_line("2026-01-05T10:00:00 [ERROR] billing: card refused: 402")
    assert record.when == datetime(2026, 1, 5, 10, 0, 0)
    assert (record.level, record.service) == (40, "billing")
    assert record.message == "card refused: 402"


def test_fraction_is_dropped():
    assert parse_line("2026-01-05T10:00:09.125 [info] web: up").when.second == 9


@pytest.mark.parametrize("text", ["warn", "WARNING", " Warning "])
def test_level_spellings(text):
    assert parse_level(text) == 30


def test_unknown_level_is_a_line_error():
    with pytest.raises(LineError, match="chatty"):
        parse_level("chatty")


@pytest.mark.parametrize("line", ["nonsense", "2026-01-05T10:00:00 [INFO] no service here"])
def test_broken_lines(line):
    with pytest.raises(LineError):
        parse_line(line)


def test_parse_all_skips_comments_and_reports_the_rest():
    seen = []
    lines = ["# head\n", "\n", "bad\n", "2026-01-05T10:00:00 [info] web: up\n"]
    records = list(parse_all(lines, lambda number, text: seen.append((number, text))))
    assert [r.message for r in records] == ["up"]
    assert seen == [(3, "no level")]


def test_parse_all_raises_without_a_callback():
    with pytest.raises(LineError):
        list(parse_all(["bad"]))


def test_impossible_dates_are_reported_too():
    seen = []
    list(parse_all(["2026-02-31T10:00:00 [info] web: up"], lambda *what: seen.append(what)))
    assert len(seen) == 1
