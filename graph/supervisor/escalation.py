"""Escalation: nudge, replan, stronger model, pause. Pure decisions on how far to go, and what the policy lets pass."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from core.config.settings import SupervisorSettings

Action = Literal["nothing", "nudge", "reprioritize", "milestone", "replan", "switch_model", "pause"]
ACTIONS: tuple[Action, ...] = ("nudge", "replan", "switch_model", "pause")
ALLOWED: dict[str, frozenset[Action]] = {
    "observe": frozenset(),
    "nudge": frozenset({"nudge"}),
    "replan": frozenset({"nudge", "reprioritize", "milestone", "replan"}),
    "full": frozenset({"nudge", "reprioritize", "milestone", "replan", "switch_model", "pause"}),
}


@dataclass(frozen=True, slots=True)
class PastIntervention:
    """An intervention that was made, or only suggested."""

    rule: str
    action: Action
    applied: bool
    step: str
    work: int
    """Tool calls of the thread at that time."""
    at: float
    """Seconds since the epoch."""
    text: str = ""


@dataclass(frozen=True, slots=True)
class ThreadPosition:
    """Where the thread is now, as far as escalation asks."""

    step: str
    work: int
    now: float
    stronger: bool = True
    """Whether another model could take over the role."""


def next_action(past: Sequence[PastIntervention], place: ThreadPosition, settings: SupervisorSettings) -> Action | None:
    """How far to go this time; `None` while the last intervention still has time to work.

    Each intervention in a step leads one level higher, suggestions included: what the policy forbids is suggested once
    and not over and over. A new step starts at the bottom.
    """
    if past and not _cooled(past[-1], place, settings):
        return None
    count = sum(item.step == place.step and item.rule != "milestone" for item in past)
    levels = [level for level in ACTIONS if place.stronger or level != "switch_model"]
    return levels[min(count, len(levels) - 1)]


def stronger_of(wanted: Action, level: Action) -> Action:
    """The higher of what the judge wants and what escalation asks for: a mild judge must not hold it back.

    Changes of the plan's order stand between a nudge and a new plan.
    """
    if wanted == "nothing" or level == "nothing":
        return wanted
    rank = {action: place for place, action in enumerate(ACTIONS)} | {"reprioritize": 0.5, "milestone": 0.5}
    return wanted if rank[wanted] >= rank[level] else level


def is_permitted(action: Action, policy: str) -> bool:
    """Whether the policy lets the supervisor do this by itself."""
    return action in ALLOWED[policy]


def highest_permitted(action: Action, policy: str) -> Action | None:
    """The action itself if permitted, else a nudge if that is, else nothing can be done."""
    if is_permitted(action, policy):
        return action
    return "nudge" if is_permitted("nudge", policy) else None


def _cooled(last: PastIntervention, place: ThreadPosition, settings: SupervisorSettings) -> bool:
    if last.step != place.step:
        return True
    worked = place.work - last.work >= settings.cool_down_calls
    return worked and place.now - last.at >= settings.cool_down_s
