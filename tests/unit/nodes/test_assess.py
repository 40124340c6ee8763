import pytest

from core.artifacts import CheckRun, Guidance, Milestone, Plan, PlanStep, QAReport, QAVerdict, StepResult
from core.config.settings import BudgetSettings
from nodes.assess import AssessInput, decide_by_rule, requested_replan

LIMITS = BudgetSettings(max_attempts=2, max_replans=1)


def check(code: int) -> CheckRun:
    return CheckRun(command="make test", exit_code=code, duration_s=1, output="")


def report(code: int, *, accept: bool | None = None) -> QAReport:
    verdict = None if accept is None else QAVerdict(accept=accept)
    return QAReport(checks=(check(code),), verdict=verdict)


def state(qa: QAReport, *, steps: int = 1, before: int = 0, commit: str | None = "c", **more: object) -> AssessInput:
    plan = Plan(milestones=(Milestone(title="m", steps=tuple(PlanStep(id=f"s{i}", title="t") for i in range(steps))),))
    served = str(more.pop("served_by", "primary:tiny"))
    attempt = int(str(more.pop("attempt", 1)))
    result = StepResult(step_id="s0", attempt=attempt, text="", commit=commit, served_by=served)
    base: AssessInput = {
        "task": "t",
        "plan": plan,
        "current_step": "s0",
        "qa": qa,
        "baseline": report(before),
        "step_results": (result,),
        "attempt": attempt,
    }
    return {**base, **more}  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("situation", "action"),
    [
        (state(report(0, accept=True)), "done"),
        (state(report(0, accept=True), steps=2), "next_step"),
        (state(report(1)), "fix"),
        (state(report(0, accept=False)), "fix"),
        (state(report(1), commit=None), "fix"),
        (state(report(1), commit=None, served_by="embedded", replans=1), "stuck"),
        (state(report(1), attempt=2, replans=1), "stuck"),
        (state(report(1), steps=2, before=1), "next_step"),
        (state(report(1), steps=2, before=1, commit=None), "fix"),
        (state(report(1), steps=2, before=0), "fix"),
        (state(QAReport(checks=())), "fix"),
        (state(QAReport(checks=(), verdict=QAVerdict(accept=True))), "done"),
    ],
    ids=[
        "accepted", "accepted-more-steps", "red", "rejected", "first-attempt-idle", "search-found-nothing",
        "all-used-up", "red-as-before", "red-as-before-but-idle", "turned-red", "nobody-judged", "judge-alone",
    ],
)  # fmt: skip
def test_rules(situation: AssessInput, action: str) -> None:
    decision = decide_by_rule(situation, LIMITS)
    assert decision is not None
    assert decision.action == action


def test_a_choice_is_left_when_attempts_are_used_up_and_a_replan_is_not() -> None:
    assert decide_by_rule(state(report(1), attempt=2), LIMITS) is None


def test_a_red_check_outweighs_an_accepting_judge() -> None:
    assert not report(1, accept=True).accepted


@pytest.mark.parametrize(
    ("author", "situation", "granted"),
    [
        ("user", state(report(1)), True),
        ("user", state(report(1), replans=5), True),
        ("user", state(report(0, accept=True), steps=2), True),
        ("user", state(report(0, accept=True)), False),
        ("supervisor", state(report(1)), True),
        ("supervisor", state(report(1), replans=1), False),
        ("supervisor", state(report(0, accept=True), steps=2), False),
    ],
    ids=["user", "user-again", "user-after-success", "nothing-left", "supervisor", "used-up", "trouble-is-over"],
)
def test_a_wish_for_a_new_plan(author: str, situation: AssessInput, granted: bool) -> None:
    wish = Guidance(id=1, kind="replan", author=author, text="smaller steps", node="implement")
    decision = requested_replan(wish, situation, LIMITS)
    assert (decision is not None) == granted
    if decision is not None:
        assert (decision.action, decision.advice) == ("replan", "smaller steps")
    assert requested_replan(None, situation, LIMITS) is None
