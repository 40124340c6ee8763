from datetime import datetime

import pytest
from cronspec.crontab import due, parse, upcoming

from cronspec import CronError

TAB = """
# jobs of the night
MAILTO = ann
0 1 * * * backup --all  "x"

PATH="/bin:/usr/bin"
@hourly tick
30 0 * * * rotate A=1
"""
MIDNIGHT = datetime(2024, 5, 1)


@pytest.fixture
def jobs():
    return parse(TAB)


def test_commands(jobs):
    assert [job.command for job in jobs] == ['backup --all  "x"', "tick", "rotate A=1"]
    assert [job.line for job in jobs] == [4, 7, 8]


def test_variables_hold_below(jobs):
    assert jobs[0].env == {"MAILTO": "ann"}
    assert jobs[1].env == {"MAILTO": "ann", "PATH": "/bin:/usr/bin"}


def test_jobs_do_not_share_variables(jobs):
    jobs[2].env["X"] = "1"
    assert "X" not in jobs[1].env


@pytest.mark.parametrize(
    ("text", "line"), [("0 1 * * *", 1), ("\n@daily", 2), ("# a\n\n99 1 * * * x", 3), ("A=1\nx y", 2)]
)
def test_errors_name_the_line(text, line):
    with pytest.raises(CronError, match=f"^line {line}: "):
        parse(text)


def test_due(jobs):
    assert [job.command[:4] for job in due(jobs, MIDNIGHT, datetime(2024, 5, 1, 1))] == ["rota", "back", "tick"]
    assert due(jobs, MIDNIGHT, datetime(2024, 5, 1, 0, 29)) == []
    assert due([], MIDNIGHT, MIDNIGHT) == []


def test_upcoming(jobs):
    assert upcoming(jobs, MIDNIGHT, 4) == [
        (datetime(2024, 5, 1, 0, 30), "rotate A=1"),
        (datetime(2024, 5, 1, 1, 0), 'backup --all  "x"'),
        (datetime(2024, 5, 1, 1, 0), "tick"),
        (datetime(2024, 5, 1, 2, 0), "tick"),
    ]


def test_upcoming_five_by_default(jobs):
    assert len(upcoming(jobs, MIDNIGHT)) == 5
