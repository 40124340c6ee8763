from dataclasses import replace
from pathlib import Path

import pytest

from core.config.settings import SupervisorSettings
from core.storage.database import Database
from graph.supervisor.escalation import Intervention, ThreadPosition, is_permitted, next_action
from graph.supervisor.intervention_log import InterventionLog, intervention_verdict

SETTINGS = SupervisorSettings(cool_down_calls=3, cool_down_s=10)


def past(
    count: int, *, step: str = "s1", work: int = 0, at: float = 0.0, rule: str = "no_change"
) -> list[Intervention]:
    return [Intervention(rule, "", "nudge", "", applied=True, step=step, work=work, created=at)] * count


@pytest.mark.parametrize(
    ("count", "level"), [(0, "nudge"), (1, "replan"), (2, "switch_model"), (3, "pause"), (9, "pause")]
)
def test_each_time_one_rung_higher(count: int, level: str) -> None:
    assert next_action(past(count), ThreadPosition("s1", 100, 100.0), SETTINGS) == level


def test_without_a_stronger_model_that_rung_is_left_out() -> None:
    assert next_action(past(2), ThreadPosition("s1", 100, 100.0, stronger=False), SETTINGS) == "pause"


@pytest.mark.parametrize(("work", "now", "ready"), [(2, 100, False), (3, 9, False), (3, 10, True)])
def test_an_intervention_gets_calls_and_time_to_work(work: int, now: float, ready: bool) -> None:
    assert (next_action(past(1), ThreadPosition("s1", work, now), SETTINGS) is not None) == ready


def test_another_step_begins_at_the_bottom_and_at_once() -> None:
    assert next_action(past(3, work=50, at=99), ThreadPosition("s2", 51, 100.0), SETTINGS) == "nudge"


def test_an_opinion_at_a_milestone_is_no_rung() -> None:
    assert next_action(past(2, rule="milestone"), ThreadPosition("s1", 100, 100.0), SETTINGS) == "nudge"


@pytest.mark.parametrize(
    ("policy", "allowed"),
    [
        ("observe", set()),
        ("nudge", {"nudge"}),
        ("replan", {"nudge", "reprioritize", "milestone", "replan"}),
        ("full", {"nudge", "reprioritize", "milestone", "replan", "switch_model", "pause"}),
    ],
)
def test_the_policy_bounds_what_is_done(policy: str, allowed: set[str]) -> None:
    actions = ("nudge", "reprioritize", "milestone", "replan", "switch_model", "pause")
    assert {action for action in actions if is_permitted(action, policy)} == allowed


async def test_the_ledger_is_read_back_by_another_process(tmp_path: Path) -> None:
    entry = Intervention(
        rule="no_change", reason="15 calls", action="nudge", text="act", applied=True, step="s1", work=15, inbox_id=7,
        failing=3, cost={"spec": "small", "seconds": 0.4},
    )  # fmt: skip
    added = await InterventionLog(Database(tmp_path / "db"), "t").add(entry)
    await InterventionLog(Database(tmp_path / "db"), "other").add(entry)

    [recorded] = await InterventionLog(Database(tmp_path / "db"), "t").all()
    assert recorded == added == replace(entry, id=added.id)
    assert (recorded.rule, recorded.action, recorded.step, recorded.work) == ("no_change", "nudge", "s1", 15)

    await InterventionLog(Database(tmp_path / "db"), "t").settle({added.id: "better"})
    assert (await InterventionLog(Database(tmp_path / "db"), "t").all())[0].outcome == "better"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [(3, 0, "green"), (None, 0, "green"), (3, 1, "better"), (3, 3, "same"), (1, 3, "worse"), (None, 2, "same")],
)
def test_the_next_checks_judge_an_intervention(before: int | None, after: int, said: str) -> None:
    assert intervention_verdict(before, after) == said
