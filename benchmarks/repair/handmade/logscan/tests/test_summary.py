from logscan.lines import parse_all
from logscan.summary import count_by_service, error_bursts, last_lines, longest_message, per_hour

LOG = """\
2026-01-05T10:00:00 [info] web: up
2026-01-05T10:00:05 [error] billing: a
2026-01-05T10:00:30 [error] billing: bb
2026-01-05T10:00:55 [warn] web: slow
2026-01-05T10:01:10 [error] web: ccc
2026-01-05T11:30:00 [error] billing: dd
2026-01-05T11:45:00 [error] billing: e
2026-01-05T11:45:10 [error] billing: f
2026-01-05T11:45:20 [error] web: g
"""


def records():
    return list(parse_all(LOG.splitlines()))


def test_counts():
    assert count_by_service(records()) == {"web": 4, "billing": 5}
    assert count_by_service(records(), "error") == {"web": 2, "billing": 5}


def test_bursts():
    found = [[r.message for r in run] for run in error_bursts(records())]
    assert found == [["a", "bb", "ccc"], ["e", "f", "g"]]


def test_bursts_need_enough_errors():
    assert error_bursts(records(), size=4) == []


def test_longest_message_is_the_first_of_its_length():
    assert longest_message(records()) == "slow"


def test_per_hour():
    assert per_hour(records()) == {10: {"web": 3, "billing": 2}, 11: {"billing": 3, "web": 1}}


def test_last_lines():
    assert last_lines(records(), 2) == ["g", "f"]
    assert last_lines(records(), 0) == []
    assert len(last_lines(records(), 50)) == 9
