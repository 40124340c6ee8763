"""The ladder: nudge, replan, stronger model, pause. Pure decisions on how far to go, and what the policy lets pass."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from core.config.settings import SupervisorSettings

Action = Literal["nothing", "nudge", "reprioritize", "milestone", "replan", "switch_model", "pause"]
RUNGS: tuple[Action, ...] = ("nudge", "replan", "switch_model", "pause")
ALLOWED: dict[str, frozenset[Action]] = {
    "observe": frozenset(),
    "nudge": frozenset({"nudge"}),
    "replan": frozenset({"nudge", "reprioritize", "milestone", "replan"}),
    "full": frozenset({"nudge", "reprioritize", "milestone", "replan", "switch_model", "pause"}),
}


@dataclass(frozen=True, slots=True)
class Past:
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
class Place:
    """Where the thread is now, in the terms of the ladder."""

    step: str
    work: int
    now: float
    stronger: bool = True
    """Whether another model could take over the role."""


def next_rung(past: Sequence[Past], place: Place, settings: SupervisorSettings) -> Action | None:
    """How far to go this time; `None` while the last intervention still has time to work.

    Each intervention in a step leads one rung higher, suggestions included: what the policy forbids is suggested once
    and not over and over. Another step begins at the bottom.
    """
    if past and not _cooled(past[-1], place, settings):
        return None
    count = sum(item.step == place.step and item.rule != "milestone" for item in past)
    rungs = [rung for rung in RUNGS if place.stronger or rung != "switch_model"]
    return rungs[min(count, len(rungs) - 1)]


def higher(wanted: Action, rung: Action) -> Action:
    """The higher of what the judge wants and what the ladder says: a mild judge must not keep a thread at the bottom.

    Changes of the plan's order stand between a nudge and a new plan.
    """
    if wanted == "nothing" or rung == "nothing":
        return wanted
    rank = {action: place for place, action in enumerate(RUNGS)} | {"reprioritize": 0.5, "milestone": 0.5}
    return wanted if rank[wanted] >= rank[rung] else rung


def permitted(action: Action, policy: str) -> bool:
    """Whether the policy lets the supervisor do this by itself."""
    return action in ALLOWED[policy]


def highest_permitted(action: Action, policy: str) -> Action | None:
    """The action itself if permitted, else a nudge if that is, else nothing can be done."""
    if permitted(action, policy):
        return action
    return "nudge" if permitted("nudge", policy) else None


def _cooled(last: Past, place: Place, settings: SupervisorSettings) -> bool:
    if last.step != place.step:
        return True
    worked = place.work - last.work >= settings.cool_down_calls
    return worked and place.now - last.at >= settings.cool_down_s
