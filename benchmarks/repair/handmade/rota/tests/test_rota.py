import pytest
from rota.plan import ClashError, Plan, week
from rota.shifts import Shift, clock, minutes


@pytest.fixture
def plan():
    plan = Plan(minutes("08:00"), minutes("18:00"))
    plan.add(Shift.parse("bob 12:00-16:00"))
    plan.add(Shift.parse("ann 08:30-12:00"))
    return plan


def test_minutes():
    assert minutes("08:05") == 485
    assert minutes("7") == 420
    assert minutes("0:00") == 0


@pytest.mark.parametrize("text", ["24:00", "99", "x:10"])
def test_no_time_of_day(text):
    with pytest.raises(ValueError):
        minutes(text)


def test_clock_is_the_inverse():
    assert clock(minutes("17:09")) == "17:09"


def test_names_may_have_spaces():
    assert Shift.parse("ann lee 08:00-16:00").worker == "ann lee"


def test_night_shift_length():
    assert Shift.parse("ann 22:00-06:00").length == 480


def test_shifts_that_touch_do_not_overlap(plan):
    plan.add(Shift.parse("ann 12:00-13:00"))
    assert plan.on_duty(minutes("12:30")) == ["ann", "bob"]


def test_one_worker_cannot_be_twice(plan):
    with pytest.raises(ClashError):
        plan.add(Shift.parse("bob 15:00-17:00"))
    with pytest.raises(ClashError):
        plan.add(Shift.parse("bob 11:00-17:00"))


def test_others_may_overlap(plan):
    plan.add(Shift.parse("cid 11:00-13:00"))
    assert plan.on_duty(minutes("11:30")) == ["ann", "cid"]


def test_break_only_after_six_hours(plan):
    plan.add(Shift.parse("dan 08:00-14:00"))
    plan.add(Shift.parse("eve 08:00-16:00"))
    assert plan.paid_minutes("dan") == 360
    assert plan.paid_minutes("eve") == 450


def test_two_shifts_add_up(plan):
    plan.add(Shift.parse("bob 08:00-09:00"))
    assert plan.paid_minutes("bob") == 300


def test_gaps(plan):
    assert plan.gaps() == ["08:00-08:30", "16:00-18:00"]


def test_no_gap_when_all_is_covered(plan):
    plan.add(Shift.parse("cid 08:00-18:00"))
    assert plan.gaps() == []


def test_busiest(plan):
    assert plan.busiest() == "bob"
    plan.add(Shift.parse("ann 16:00-16:30"))
    assert plan.busiest() == "ann"
    assert Plan(0, 60).busiest() is None


def test_week_rotates():
    assert week(["a", "b", "c"], 3) == [("a", "b"), ("c", "a"), ("b", "c")]
    assert len(week(["a", "b"])) == 5
