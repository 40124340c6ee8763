"""What guidance may change in a plan, and what it may not."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from core.artifacts import Guidance, Milestone, Plan, PlanStep, Scope
from nodes.guidance.plan_changes import apply_guidance, change_plan, keep_criteria, role_for


def plan_of(*idents: str) -> Plan:
    steps = tuple(PlanStep(id=ident, title=ident, check=f"check {ident}") for ident in idents)
    return Plan(milestones=(Milestone(title="m", steps=steps),))


def wish(kind: str, ident: int = 1, text: str = "", **payload: Any) -> Guidance:
    return Guidance(id=ident, kind=kind, author="user", text=text, node="assess", payload=payload)


def order(plan: Plan) -> list[str]:
    return [step.id for step in plan.steps]


def test_pending_steps_change_places() -> None:
    plan, refused = apply_guidance(plan_of("a", "b", "c", "d"), {"a"}, [wish("prioritize", steps=["d", "b"])])
    assert order(plan) == ["a", "d", "b", "c"]
    assert refused == ()


def test_a_step_that_is_done_keeps_its_place() -> None:
    before = plan_of("a", "b", "c")
    plan, [refusal] = apply_guidance(before, {"a"}, [wish("prioritize", steps=["c", "a"])])
    assert plan == before
    assert refusal.reason == "step a is already done"


def test_unknown_steps_and_empty_wishes_are_refused() -> None:
    before = plan_of("a")
    for payload, reason in (
        ({"steps": ["z"]}, "no step z"),
        ({}, "names no steps"),
        ({"steps": "a"}, "names no steps"),
    ):
        plan, [refusal] = apply_guidance(before, set(), [wish("prioritize", **payload)])
        assert plan == before
        assert reason in refusal.reason


def test_a_milestone_is_added_behind_the_others() -> None:
    new = {"title": "docs", "steps": [{"id": "x", "title": "write them"}]}
    plan, refused = apply_guidance(plan_of("a"), set(), [wish("milestone", milestone=new)])
    assert order(plan) == ["a", "x"]
    assert refused == ()


def test_an_unfinished_step_may_be_changed_and_one_added_to_its_milestone() -> None:
    changed = {"title": "m", "steps": [
        {"id": "a", "title": "a", "check": "check a"},
        {"id": "b", "title": "smaller", "check": "another check"},
        {"id": "c", "title": "new"},
    ]}  # fmt: skip
    plan, refused = apply_guidance(plan_of("a", "b"), {"a"}, [wish("milestone", milestone=changed)])
    assert refused == ()
    assert [step.title for step in plan.steps] == ["a", "smaller", "new"]


def test_a_milestone_may_not_drop_change_what_is_done_or_weaken() -> None:
    def steps(*texts: tuple[str, str, str]) -> dict[str, Any]:
        return {"title": "m", "steps": [{"id": i, "title": t, "check": c} for i, t, c in texts]}

    before = plan_of("a", "b")
    cases = (
        (steps(("a", "a", "check a")), "drop step b"),
        (steps(("a", "other", "check a"), ("b", "b", "check b")), "a is already done"),
        (steps(("b", "b", "check b")), "a is already done"),
        (steps(("a", "a", "check a"), ("b", "b", "")), "drop the check of step b"),
        (steps(("a", "a", "check a"), ("b", "b", "check b"), ("b", "b", "check b")), "not unique"),
        ({"title": "n", "steps": [{"id": "b", "title": "b"}]}, "not unique"),
        ({"title": "n", "steps": []}, "invalid milestone"),
        (None, "invalid milestone"),
    )
    for milestone, reason in cases:
        plan, [refusal] = apply_guidance(before, {"a"}, [wish("milestone", milestone=milestone)])
        assert plan == before, reason
        assert reason in refusal.reason


@given(
    st.lists(st.sampled_from("abcdef"), unique=True),
    st.lists(st.lists(st.sampled_from("abcdefz"), max_size=7), max_size=4),
)
def test_no_order_of_wishes_loses_a_step_or_moves_a_finished_one(done: list[str], wishes: list[list[str]]) -> None:
    before = plan_of(*"abcdef")
    guidance = [wish("prioritize", number, steps=steps) for number, steps in enumerate(wishes, 1)]
    plan, refused = apply_guidance(before, set(done), guidance)
    assert sorted(order(plan)) == sorted(order(before))
    finished = [ident for ident in order(plan) if ident in done]
    assert finished == [ident for ident in order(before) if ident in done]
    if len(refused) < len(guidance) and done:
        assert order(plan)[: len(done)] == finished


def test_each_wish_is_applied_once_and_in_order() -> None:
    wishes = [wish("prioritize", 5, steps=["c"]), wish("prioritize", 4, steps=["b"]), wish("nudge", 6)]
    first = change_plan(plan_of("a", "b", "c"), set(), wishes)
    assert order(first.plan) == ["c", "b", "a"]
    assert first.upto == 6
    again = change_plan(plan_of("a", "b", "c"), set(), wishes, after=first.upto)
    assert order(again.plan) == ["a", "b", "c"]
    assert (again.upto, again.replan) == (6, None)


def test_of_several_wishes_for_a_new_plan_the_last_counts() -> None:
    steered = change_plan(
        plan_of("a"), set(), [wish("replan", 1, "one"), wish("replan", 2, "two"), wish("guidance", 3)]
    )
    assert steered.replan is not None
    assert steered.replan.text == "two"


def test_a_model_holds_for_its_step_or_for_all() -> None:
    strong = wish("model", role="coder", use="reasoning", step="s1")
    assert role_for("coder", [strong], "s1") == "reasoning"
    assert role_for("coder", [strong], "s2") == "coder"
    assert role_for("primary", [strong], "s1") == "primary"
    assert role_for("coder", [wish("model", role="coder", use="primary")], "s9") == "primary"
    assert role_for("coder", [strong, wish("model", 2, role="coder", use="coder")], "s1") == "coder"
    assert role_for("coder", [wish("nudge", role="coder", use="primary")], "s1") == "coder"


def test_criteria_are_added_never_weakened() -> None:
    before = Scope(goal="g", acceptance_criteria=("tests pass", "API kept"), constraints=("no new dependency",))
    after = keep_criteria(before, Scope(goal="smaller", acceptance_criteria=("API kept", "documented")))
    assert after.goal == "smaller"
    assert after.acceptance_criteria == ("tests pass", "API kept", "documented")
    assert after.constraints == ("no new dependency",)
    assert keep_criteria(None, before) == before
