"""Escalation: nudge, replan, stronger model, pause. Pure decisions on how far to go, and what the policy lets pass."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

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
class Intervention:
    """An intervention that was made, or only suggested."""

    rule: str
    reason: str
    action: Action
    text: str
    applied: bool
    step: str
    work: int
    """Tool calls of the thread at that time."""
    inbox_id: int | None = None
    failing: int | None = None
    """Failing tests at that time; `None` when no checks have run."""
    cost: Mapping[str, Any] = field(default_factory=dict)
    """Of the judging call: spec, tokens, seconds, cost_usd; empty where no model was asked."""
    created: float = field(default_factory=time.time)
    """Seconds since the epoch."""
    id: int = 0
    """In the log; 0 before it is there."""
    outcome: str | None = None
    """`green`, `unchanged` (green before too), `better`, `same`, `worse`, `no check followed`, or `refused: …`;
    `None` while it is open."""


@dataclass(frozen=True, slots=True)
class ThreadPosition:
    """Where the thread is now, as far as escalation needs to know."""

    step: str
    work: int
    now: float
    stronger: bool = True
    """Whether another model could take over the role."""


def next_action(past: Sequence[Intervention], place: ThreadPosition, settings: SupervisorSettings) -> Action | None:
    """How far to go this time; `None` while the last intervention still has time to work.

    Each intervention in a step leads one level higher, suggestions included: what the policy forbids is suggested once
    and not repeatedly. A new step starts at the lowest level.
    """
    if past and not _cooled(past[-1], place, settings):
        return None
    count = sum(item.step == place.step and item.rule != "milestone" for item in past)
    levels = [level for level in ACTIONS if place.stronger or level != "switch_model"]
    return levels[min(count, len(levels) - 1)]


def stronger_of(wanted: Action, level: Action) -> Action:
    """The higher of what the judge wants and what escalation requires: a lenient judge must not hold it back.

    Changes to the plan's order rank between a nudge and a new plan.
    """
    if wanted == "nothing" or level == "nothing":
        return wanted
    rank = {action: place for place, action in enumerate(ACTIONS)} | {"reprioritize": 0.5, "milestone": 0.5}
    return wanted if rank[wanted] >= rank[level] else level


def is_permitted(action: Action, policy: str) -> bool:
    """Whether the policy lets the supervisor do this by itself."""
    return action in ALLOWED[policy]


def _cooled(last: Intervention, place: ThreadPosition, settings: SupervisorSettings) -> bool:
    if last.step != place.step:
        return True
    worked = place.work - last.work >= settings.cool_down_calls
    return worked and place.now - last.created >= settings.cool_down_s
