from core.artifacts import Milestone, Plan, PlanStep, RoutingDecision
from nodes.plan import finished_steps, number_steps
from nodes.route import delegate_unsure


def plan_of(*ids: str) -> Plan:
    return Plan(milestones=(Milestone(title="m", steps=tuple(PlanStep(id=i, title=f"t{i}") for i in ids)),))


def test_repeated_and_empty_ids_become_unique() -> None:
    assert [step.id for step in number_steps(plan_of("a", "a", "")).steps] == ["s1", "s2", "s3"]


def test_done_steps_stay_first_and_keep_their_ids() -> None:
    before = number_steps(plan_of("", "", ""))
    kept = finished_steps(before, ("s2",))
    after = number_steps(plan_of("x", "y"), keep=kept)
    ids = [step.id for step in after.steps]
    assert ids[0] == "s2"
    assert len(set(ids)) == 3


def test_ids_stay_unique_whichever_steps_are_done() -> None:
    for done in (("s2",), ("s1", "s3"), ("s3",), ("s2", "s4")):
        kept = finished_steps(number_steps(plan_of("", "", "", "")), done)
        ids = [step.id for step in number_steps(plan_of("", "", "", "", ""), keep=kept).steps]
        assert len(set(ids)) == len(ids) == len(done) + 5


def test_steps_run_by_priority() -> None:
    steps = (PlanStep(id="a", title="late", priority=2), PlanStep(id="b", title="early", priority=1))
    assert [step.id for step in Plan(milestones=(Milestone(title="m", steps=steps),)).steps] == ["b", "a"]


def decision(kind: str, confidence: float) -> RoutingDecision:
    return RoutingDecision.model_validate(
        {"routing_decision": kind, "target_model": "CODING", "confidence": confidence, "reason": "because"}
    )


def test_an_unsure_answer_is_delegated_and_says_so() -> None:
    settled = delegate_unsure(decision("HANDLE", 0.4), 0.6)
    assert settled.routing_decision == "DELEGATE"
    assert "0.40 is below 0.60" in settled.reason


def test_a_sure_answer_and_any_delegation_stand() -> None:
    for given in (decision("HANDLE", 0.6), decision("DELEGATE", 0.1)):
        assert delegate_unsure(given, 0.6) == given
