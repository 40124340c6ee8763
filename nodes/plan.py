"""Plans the scoped task as milestones with steps."""

from itertools import count
from typing import Any, NotRequired, TypedDict

from langgraph.runtime import Runtime

from core.artifacts import AssessDecision, EarlierRequest, Milestone, Plan, PlanStep, QAReport, Scope
from core.context import Context
from nodes.model_calls.model_call import NodeQuestion, ask_role
from nodes.text.prompt_text import checks_text, earlier_text, plan_text, scope_text


class PlanInput(TypedDict):
    """What planning needs; the later keys only when replanning."""

    task: str
    scope: Scope
    baseline: QAReport
    earlier: NotRequired[tuple[EarlierRequest, ...]]
    plan: NotRequired[Plan]
    steps_done: NotRequired[tuple[str, ...]]
    qa: NotRequired[QAReport | None]
    assessment: NotRequired[AssessDecision]
    guidance_cursor: NotRequired[int]


async def plan(state: PlanInput, runtime: Runtime[Context]) -> dict[str, Any]:
    """Ask the primary for a plan; steps that are done stay in it."""
    context = runtime.context
    before, done = state.get("plan"), state.get("steps_done", ())
    checks = (state.get("qa") or state["baseline"]).checks
    values = {
        "task": state["task"],
        "listing": await context.workspace.listing(),
        "scope": scope_text(state["scope"]),
        "checks": checks_text(checks),
        "done": plan_text(before, done=done) if before and done else "",
        "setback": _setback(state) if before else "",
        "earlier": earlier_text(state.get("earlier", ())),
    }
    question = NodeQuestion("plan", "primary", values, state.get("guidance_cursor", 0))
    answer, update = await ask_role(question, Plan, runtime)
    used = sum(request.planned for request in state.get("earlier", ()))
    made = number_steps(answer, keep=finished_steps(before, done), after=used)
    context.events.emit("plan", steps=[{"id": step.id, "title": step.title} for step in made.steps])
    first = next((step.id for step in made.steps if step.id not in done), None)
    return {"plan": made, "current_step": first, "attempt": 1, "qa": None, **update}


def _setback(state: PlanInput) -> str:
    assessment = state.get("assessment")
    return f"{assessment.reason}\n{assessment.advice}" if assessment else ""


def finished_steps(plan: Plan | None, done: tuple[str, ...]) -> tuple[PlanStep, ...]:
    """The steps of an earlier plan that are done."""
    return tuple(step for step in plan.steps if step.id in done) if plan else ()


def number_steps(plan: Plan, *, keep: tuple[PlanStep, ...] = (), after: int = 0) -> Plan:
    """Give every step its own id, after those of the steps to keep, which come first.

    Models repeat ids or leave them empty; a step is found by its id, so they are made unique here.

    Args:
        plan: As the model returned it.
        keep: Steps of the previous plan that are done.
        after: How many steps earlier requests of the thread had.
    """
    taken = {step.id for step in keep}
    free = (ident for number in count(after + len(keep) + 1) if (ident := f"s{number}") not in taken)
    milestones: list[Milestone] = [Milestone(title="Done before", steps=keep)] if keep else []
    for milestone in plan.milestones:
        steps = tuple(step.model_copy(update={"id": next(free)}) for step in milestone.steps)
        milestones.append(milestone.model_copy(update={"steps": steps}))
    return Plan(milestones=tuple(milestones))
