from datetime import datetime, timedelta
from itertools import islice

import pytest
from cronspec.fields import DAY, HOUR, MINUTE, MONTH, WEEKDAY

from cronspec import CronError, Schedule

NOON = datetime(2024, 2, 28, 12, 0)


@pytest.mark.parametrize(
    ("field", "text", "expected"),
    [
        (MINUTE, "*", set(range(60))),
        (MINUTE, "5", {5}),
        (MINUTE, "*/15", {0, 15, 30, 45}),
        (MINUTE, "50/3", {50, 53, 56, 59}),
        (MINUTE, "10-40/10", {10, 20, 30, 40}),
        (HOUR, "8-10,20", {8, 9, 10, 20}),
        (DAY, "*/10", {1, 11, 21, 31}),
        (MONTH, "jan,DEC", {1, 12}),
        (MONTH, "Mar-May", {3, 4, 5}),
        (WEEKDAY, "mon-fri", {1, 2, 3, 4, 5}),
        (WEEKDAY, "sun", {0}),
        (WEEKDAY, "5-7", {5, 6, 7}),
    ],
)
def test_fields(field, text, expected):
    assert field.parse(text) == expected


@pytest.mark.parametrize(
    ("field", "text"),
    [
        (MINUTE, "60"), (MINUTE, "-1"), (MINUTE, "a"), (MINUTE, ""), (MINUTE, "*/0"), (MINUTE, "*/x"), (HOUR, "24"),
        (DAY, "0"), (DAY, "32"), (MONTH, "0"), (MONTH, "13"), (WEEKDAY, "8"), (HOUR, "10-8"), (MONTH, "foo"),
    ],
)  # fmt: skip
def test_refused(field, text):
    with pytest.raises(CronError):
        field.parse(text)


@pytest.mark.parametrize("value", range(60))
def test_every_minute_is_a_minute(value):
    assert MINUTE.parse(str(value)) == {value}


@pytest.mark.parametrize("value", range(24))
def test_every_hour_is_an_hour(value):
    assert HOUR.number(str(value)) == value
    assert Schedule(f"0 {value} * * *").after(NOON).hour == value


@pytest.mark.parametrize("text", ["", "* * * *", "* * * * * *", "@never", "61 * * * *"])
def test_bad_expressions(text):
    with pytest.raises(CronError):
        Schedule(text)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("* * * * *", datetime(2024, 2, 28, 12, 1)),
        ("0 * * * *", datetime(2024, 2, 28, 13, 0)),
        ("0 12 * * *", datetime(2024, 2, 29, 12, 0)),
        ("30 11 * * *", datetime(2024, 2, 29, 11, 30)),
        ("0 0 29 * *", datetime(2024, 2, 29, 0, 0)),
        ("0 0 30 * *", datetime(2024, 3, 30, 0, 0)),
        ("0 0 * * 7", datetime(2024, 3, 3, 0, 0)),
        ("0 0 * * sun", datetime(2024, 3, 3, 0, 0)),
        ("15 9 1 jan *", datetime(2025, 1, 1, 9, 15)),
        ("0 0 1 * mon", datetime(2024, 3, 1, 0, 0)),
        ("0 0 15 * fri", datetime(2024, 3, 1, 0, 0)),
        ("0 0 29 2 *", datetime(2024, 2, 29, 0, 0)),
        ("@yearly", datetime(2025, 1, 1, 0, 0)),
        ("@WEEKLY", datetime(2024, 3, 3, 0, 0)),
        ("59 23 31 12 *", datetime(2024, 12, 31, 23, 59)),
    ],
)
def test_next_run(expression, expected):
    assert Schedule(expression).after(NOON) == expected


def test_seconds_are_dropped():
    late = NOON + timedelta(seconds=59, microseconds=5)
    assert Schedule("* * * * *").after(late) == NOON + timedelta(minutes=1)


def test_leap_day_may_be_years_away():
    assert Schedule("0 0 29 2 *").after(datetime(2024, 3, 1)) == datetime(2028, 2, 29)


def test_never():
    with pytest.raises(CronError, match="never"):
        Schedule("0 0 30 2 *").after(NOON)


@pytest.mark.parametrize("weekday", range(7))
def test_weekdays(weekday):
    runs = list(islice(Schedule(f"0 6 * * {weekday}").runs(NOON), 3))
    assert {run.isoweekday() % 7 for run in runs} == {weekday}
    assert runs[2] - runs[0] == timedelta(days=14)


def test_between_includes_the_end():
    runs = Schedule("0 */6 * * *").between(NOON, NOON + timedelta(hours=12))
    assert [run.hour for run in runs] == [18, 0]


def test_matches():
    schedule = Schedule("0 12 28 2 *")
    assert schedule.matches(NOON)
    assert not schedule.matches(NOON + timedelta(minutes=1))
    assert not schedule.matches(NOON.replace(month=3))


def test_equality():
    assert Schedule("@daily") == Schedule("0 0 * * *")
    assert Schedule("0 0 * * 7") == Schedule("0 0 * * sun")
    assert Schedule("0 0 1-31 * 1") != Schedule("0 0 * * 1")
    assert len({Schedule("@daily"), Schedule("@midnight")}) == 1
    assert repr(Schedule(" @daily ")) == "Schedule('@daily')"
