"""What guidance may change: the plan, the model of a role, the criteria. Pure decisions; nothing is delivered here."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from core.artifacts import Guidance, Milestone, Plan, Refusal, Scope


@dataclass(frozen=True, slots=True)
class PlanChanges:
    """The plan after all changes that were allowed."""

    plan: Plan
    refused: tuple[Refusal, ...] = ()
    replan: Guidance | None = None
    """The latest request for a new plan; the node that decides what comes next follows it."""
    upto: int = 0
    """Id of the last guidance processed; stored in the state as `steered`."""


def change_plan(plan: Plan, done: Collection[str], guidance: Sequence[Guidance], *, after: int = 0) -> PlanChanges:
    """Apply everything that came in since `after`, in the order of the ids.

    Args:
        plan: The current plan.
        done: Ids of the steps that are finished; they are never touched.
        guidance: All guidance in state, with what was drained just now.
        after: `steered` of the state.
    """
    fresh = sorted({item.id: item for item in guidance if item.id > after}.values(), key=lambda item: item.id)
    changed, refused = apply_guidance(plan, done, fresh)
    wishes = [item for item in fresh if item.kind == "replan"]
    return PlanChanges(
        plan=changed, refused=refused, replan=wishes[-1] if wishes else None, upto=fresh[-1].id if fresh else after
    )


def apply_guidance(plan: Plan, done: Collection[str], guidance: Iterable[Guidance]) -> tuple[Plan, tuple[Refusal, ...]]:
    """Reorder pending steps (`prioritize`) and add or change milestones (`milestone`).

    Payloads: `prioritize` has `{"steps": [ids, first to run first]}`, `milestone` has `{"milestone": Milestone}`.
    Other kinds change no plan and pass through.
    """
    refused: list[Refusal] = []
    for item in guidance:
        try:
            if item.kind == "prioritize":
                plan = _prioritized(plan, done, item)
            elif item.kind == "milestone":
                plan = _with_milestone(plan, done, item)
        except _NotAllowedError as reason:
            refused.append(Refusal(id=item.id, reason=str(reason)))
    return plan, tuple(refused)


def role_for(role: str, guidance: Iterable[Guidance], step: str | None) -> str:
    """The role to call in place of `role`: the last `model` guidance for it that applies to this step.

    Payload: `{"role": …, "use": …, "step": …}`; without a step it applies to the rest of the thread.
    """
    use = role
    for item in guidance:
        wish = item.payload
        if item.kind == "model" and wish.get("role") == role and wish.get("step") in (None, "", step):
            use = str(wish.get("use") or role)
    return use


def keep_criteria(before: Scope | None, after: Scope) -> Scope:
    """A recreated scope keeps every acceptance criterion and constraint it had: guidance adds, it never weakens."""
    if before is None:
        return after
    criteria = (*before.acceptance_criteria, *_new(after.acceptance_criteria, before.acceptance_criteria))
    constraints = (*before.constraints, *_new(after.constraints, before.constraints))
    return after.model_copy(update={"acceptance_criteria": criteria, "constraints": constraints})


class _NotAllowedError(Exception):
    """A change that is not safe; its text becomes the reason of the refusal."""


def _prioritized(plan: Plan, done: Collection[str], item: Guidance) -> Plan:
    wanted = item.payload.get("steps")
    if not isinstance(wanted, list) or not wanted:
        raise _NotAllowedError('it names no steps: the payload must be {"steps": [ids]}')
    known = {step.id for step in plan.steps}
    order = list(dict.fromkeys(str(step) for step in wanted))
    if unknown := [step for step in order if step not in known]:
        raise _NotAllowedError(f"the plan has no step {', '.join(unknown)}")
    if finished := [step for step in order if step in done]:
        raise _NotAllowedError(f"step {', '.join(finished)} is already done")
    rest = [step.id for step in plan.steps if step.id not in order and step.id not in done]
    rank = {step: place for place, step in enumerate((*order, *rest), start=1)}
    # Finished steps keep a place before all others, so that the order of what was done stays readable.
    milestones = []
    for entry in plan.milestones:
        steps = tuple(step.model_copy(update={"priority": rank.get(step.id, 0)}) for step in entry.steps)
        milestones.append(entry.model_copy(update={"steps": steps}))
    return plan.model_copy(update={"milestones": tuple(milestones)})


def _with_milestone(plan: Plan, done: Collection[str], item: Guidance) -> Plan:
    try:
        wanted = Milestone.model_validate(item.payload.get("milestone"))
    except ValidationError as error:
        detail = error.errors()[0]
        raise _NotAllowedError(f"invalid milestone: {detail['loc'] or 'payload'}: {detail['msg']}") from error
    before = next((entry for entry in plan.milestones if entry.title == wanted.title), None)
    others = {step.id for entry in plan.milestones if entry is not before for step in entry.steps}
    ids = [step.id for step in wanted.steps]
    if len(set(ids)) < len(ids) or others & set(ids):
        raise _NotAllowedError("its step ids are not unique in the plan")
    if before is None:
        return plan.model_copy(update={"milestones": (*plan.milestones, wanted)})
    _guard(before, wanted, done)
    milestones = tuple(wanted if entry is before else entry for entry in plan.milestones)
    return plan.model_copy(update={"milestones": milestones})


def _guard(before: Milestone, after: Milestone, done: Collection[str]) -> None:
    new = {step.id: step for step in after.steps}
    for step in before.steps:
        kept = new.get(step.id)
        if step.id in done and kept != step:
            raise _NotAllowedError(f"step {step.id} is already done")
        if kept is None:
            raise _NotAllowedError(f"it would drop step {step.id}")
        if step.check and not kept.check:
            raise _NotAllowedError(f"it would drop the check of step {step.id}")


def _new(candidates: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(text for text in candidates if text not in known)
