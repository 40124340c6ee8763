"""Decides what comes next: rules first, the primary only if they leave a choice."""

from collections.abc import Iterator, Sequence
from typing import Any, NotRequired, TypedDict

from langgraph.runtime import Runtime

from core.artifacts import AssessDecision, Guidance, Plan, QAReport, Refusal, StepResult
from core.config.settings import EMBEDDED, BudgetSettings
from core.context import Context
from core.state import Outcome
from nodes.guidance.delivery import deliver_waiting
from nodes.guidance.plan_changes import PlanChanges, change_plan
from nodes.model_calls.model_call import NodeQuestion, ask_role
from nodes.text.prompt_text import plan_text, review_text, step_text

_AFTER_THE_WORK = frozenset({"summarize", "qa", "assess"})


class AssessInput(TypedDict):
    """What assessing needs."""

    task: str
    plan: Plan
    current_step: str
    qa: QAReport
    baseline: QAReport
    step_results: tuple[StepResult, ...]
    steps_done: NotRequired[tuple[str, ...]]
    attempt: NotRequired[int]
    replans: NotRequired[int]
    guidance_cursor: NotRequired[int]
    guidance: NotRequired[tuple[Guidance, ...]]
    steered: NotRequired[int]


async def assess(state: AssessInput, runtime: Runtime[Context]) -> dict[str, Any]:
    """Apply guidance to the plan, then choose next step, fix, replan, done or stuck."""
    context = runtime.context
    drained = await deliver_waiting(state.get("guidance_cursor", 0), context, "assess")
    steered = _steered(state, drained.guidance)
    state = {**state, "plan": steered.plan}
    limits = context.settings.budget
    late = _unacted((*state.get("guidance", ()), *drained.guidance), after=state.get("steered", 0))
    decision = requested_replan(steered.replan, state, limits) or reopen(late, decide_by_rule(state, limits), state)
    update: dict[str, Any] = {**drained.update, "plan": steered.plan, "steered": steered.upto}
    if decision is None:
        answer, more = await ask_role(_question(state), AssessDecision, runtime, drained=drained)
        decision, update = _only_open(answer), {**update, **more}
    refused = (*steered.refused, *_not_followed(steered.replan, late, decision))
    for refusal in refused:
        context.events.emit("warning", message=f"guidance {refusal.id} was not followed: {refusal.reason}")
    if refused:
        update["refused"] = refused
    return {"assessment": decision, **_consequence(decision, state), **update}


def _not_followed(wish: Guidance | None, late: Sequence[Guidance], decision: AssessDecision) -> Iterator[Refusal]:
    """Messages that were received but currently change nothing."""
    if wish is not None and decision.action != "replan":
        yield Refusal(id=wish.id, reason=f"not replanned: {decision.reason}")
    if decision.action in ("done", "stuck"):
        for item in late:
            yield Refusal(id=item.id, reason="it arrived after the last attempt; no further attempt was made")


def reopen(late: Sequence[Guidance], decision: AssessDecision | None, state: AssessInput) -> AssessDecision | None:
    """One more visit of the coder, if the work would end before it could follow a message that has arrived.

    Each message reopens it once. The embedded engine follows no messages.
    """
    ends = decision is not None and decision.action in ("done", "stuck")
    if not late or not ends or state["step_results"][-1].served_by == EMBEDDED:
        return decision
    who = ", ".join(dict.fromkeys(item.author for item in late))
    words = "\n".join(f"- {item.text}" for item in late)
    advice = f"Sent after your last attempt. Follow it now and change nothing else:\n{words}"
    return AssessDecision(action="fix", reason=f"{who} sent a message after the last attempt", advice=advice)


def _unacted(guidance: Sequence[Guidance], *, after: int) -> list[Guidance]:
    """Messages sent while the work was being summarized or judged: the working model never saw them."""
    seen = {item.id: item for item in guidance if item.id > after}
    return [item for item in seen.values()
            if item.kind == "guidance" and item.author != "supervisor" and item.node in _AFTER_THE_WORK]  # fmt: skip


def _steered(state: AssessInput, fresh: tuple[Guidance, ...]) -> PlanChanges:
    done = (*state.get("steps_done", ()), state["current_step"])
    return change_plan(state["plan"], done, (*state.get("guidance", ()), *fresh), after=state.get("steered", 0))


def requested_replan(wish: Guidance | None, state: AssessInput, limits: BudgetSettings) -> AssessDecision | None:
    """A new plan, if one was requested and there is something left to plan.

    A person may ask as often as they like. The supervisor asks because of a problem: that is over when the step is
    accepted, and it gets no more replans than the rules do.
    """
    accepted = state["qa"].accepted
    if wish is None or (accepted and not _steps_left(state)):
        return None
    if wish.author == "supervisor" and (accepted or state.get("replans", 0) >= limits.max_replans):
        return None
    return AssessDecision(action="replan", reason=f"{wish.author} asked for it", advice=wish.text)


def decide_by_rule(state: AssessInput, limits: BudgetSettings) -> AssessDecision | None:
    """What the rules say; `None` if they leave a choice between replanning and giving up."""
    left = _steps_left(state)
    if state["qa"].accepted:
        action = "next_step" if left else "done"
        return AssessDecision(action="next_step" if left else "done", reason=f"the step is accepted: {action}")
    if left and _no_worse_than_before(state):
        return AssessDecision(action="next_step", reason="the checks were already red; later steps are to fix them")
    if state.get("attempt", 1) < limits.max_attempts and _moved(state):
        return AssessDecision(action="fix", reason="not accepted; attempts remain", advice="")
    if state.get("replans", 0) < limits.max_replans:
        return None
    return AssessDecision(action="stuck", reason="attempts and replans are used up")


def _steps_left(state: AssessInput) -> list[str]:
    done = {*state.get("steps_done", ()), state["current_step"]}
    return [step.id for step in state["plan"].steps if step.id not in done]


def _no_worse_than_before(state: AssessInput) -> bool:
    """Red as before the work started: if the task is to turn it green, an intermediate step need not."""
    was_red = bool(state["baseline"].checks) and not state["baseline"].green
    return was_red and state["qa"].verdict is None and state["step_results"][-1].commit is not None


def _moved(state: AssessInput) -> bool:
    """Whether another attempt may give a different result: the last one changed a file, or was a model's first.

    The embedded engine tries one patch after another on the checks by itself, and a second visit would find the same.
    """
    last = state["step_results"][-1]
    return last.served_by != EMBEDDED and (last.commit is not None or state.get("attempt", 1) == 1)


def _only_open(decision: AssessDecision) -> AssessDecision:
    """A model may only choose among the options the rules left open."""
    if decision.action in ("replan", "stuck"):
        return decision
    reason = f"{decision.action!r} is no longer available: {decision.reason}"
    return decision.model_copy(update={"action": "stuck", "reason": reason})


def _question(state: AssessInput) -> NodeQuestion:
    step = next(item for item in state["plan"].steps if item.id == state["current_step"])
    values = {
        "task": state["task"],
        "plan": plan_text(state["plan"], done=state.get("steps_done", ()), current=step.id),
        "step": step_text(step),
        "qa": review_text(state["qa"]),
    }
    return NodeQuestion("assess", "primary", values, state.get("guidance_cursor", 0))


def _consequence(decision: AssessDecision, state: AssessInput) -> dict[str, Any]:
    match decision.action:
        case "next_step":
            return {
                "steps_done": (state["current_step"],),
                "current_step": _steps_left(state)[0],
                "attempt": 1,
                "qa": None,
            }
        case "fix":
            return {"attempt": state.get("attempt", 1) + 1}
        case "replan":
            done_now = (state["current_step"],) if state["qa"].accepted else ()
            return {"replans": state.get("replans", 0) + 1, "steps_done": done_now}
        case "done":
            done: Outcome = "done"
            return {"steps_done": (state["current_step"],), "outcome": done, "stop_reason": decision.reason}
        case "stuck":
            stuck: Outcome = "stuck"
            return {"outcome": stuck, "stop_reason": decision.reason}
