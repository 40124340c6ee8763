"""The second opinion: the supervisor role reviews a compact snapshot and suggests one action. It applies nothing."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import HumanMessage, SystemMessage
from pydantic import BaseModel, ConfigDict

from core.artifacts import Milestone
from core.config.settings import EMBEDDED
from core.context import Models
from core.errors import ModelError
from core.replies import CallSite
from graph.supervisor.escalation import Action
from graph.supervisor.rules import Finding
from graph.supervisor.snapshot import FinishedToolCall, Snapshot
from nodes.text.rendering import render

DEADLINE_S = 120.0
SHOWN_ACTS = 12
SHOWN_CHARS = 160


class Suggestion(BaseModel):
    """What the supervisor would do."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    action: Action
    text: str = ""
    steps: tuple[str, ...] = ()
    milestone: Milestone | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A suggestion and what it cost."""

    suggestion: Suggestion
    cost: dict[str, Any] = field(default_factory=dict)


def can_judge(models: Models) -> bool:
    """Whether a model serves the supervisor; the embedded engine has no opinion."""
    return models.served("supervisor").spec not in ("", EMBEDDED)


def serves_work(models: Models) -> bool:
    """Whether the supervisor's model is one that works on the task; it is then asked only when something is wrong."""
    return models.served("supervisor").spec in {models.served(role).spec for role in ("coder", "primary")}


async def ask_judge(finding: Finding, snapshot: Snapshot, models: Models, *, thread: str) -> Judgement | None:
    """Ask for an opinion; `None` when no model gave one in time, so the rule's own advice applies.

    Raises:
        BudgetError: A limit of the thread is used up.
    """
    values = {
        "task": snapshot.task,
        "plan": plan_lines(snapshot),
        "reason": finding.reason,
        "step": snapshot.step.title if snapshot.step else "none",
        "attempt": snapshot.attempt,
        "calls": snapshot.calls,
        "checks": _checks(snapshot),
        "files": ", ".join(snapshot.files) or "none",
        "used": f"{snapshot.used:.0%}",
        "acts": tool_calls_text(snapshot),
    }
    messages = [SystemMessage(render("supervisor/system")), HumanMessage(render("supervisor/user", **values))]
    site = CallSite(thread=thread, node="supervisor", purpose="judge")
    try:
        async with asyncio.timeout(DEADLINE_S):
            suggestion, reply = await models.ask("supervisor", messages, Suggestion, site=site)
    except (ModelError, TimeoutError):
        return None
    cost = {
        "spec": reply.spec,
        "input_tokens": reply.usage.input_tokens,
        "output_tokens": reply.usage.output_tokens,
        "seconds": reply.seconds,
        "cost_usd": reply.cost_usd,
    }
    return Judgement(suggestion, cost)


def suggest_by_rule(finding: Finding, level: Action) -> Suggestion:
    """What the rule itself would do at this level of the escalation."""
    match level:
        case "replan":
            text = (
                f"{finding.reason.capitalize()}. Stop here: state in two sentences what blocks this step, then end "
                "your turn; a new plan will be made."
            )
        case "switch_model":
            text = f"{finding.reason.capitalize()}. Another model takes over this step from here."
        case "pause":
            text = f"{finding.reason}; nothing tried so far has helped"
        case _:
            text = finding.advice
    return Suggestion(action=level, text=text, reason=finding.reason)


def plan_lines(snapshot: Snapshot) -> str:
    """The steps, one per line, with a mark for what is done and what is current."""
    current = snapshot.step.id if snapshot.step else ""
    marks = {True: "done", False: "open"}
    return "\n".join(
        f"{step.id} [{'current' if step.id == current else marks[step.id in snapshot.done]}] {step.title}"
        for step in snapshot.steps
    ) or "no plan yet"  # fmt: skip


def tool_calls_text(snapshot: Snapshot) -> str:
    """The last tool calls, one per line."""
    lines = [f"{act.tool} {act.args[:SHOWN_CHARS]} -> {_result(act)}" for act in snapshot.acts[-SHOWN_ACTS:]]
    return "\n".join(lines) or "none in this step"


def _result(act: FinishedToolCall) -> str:
    if act.error:
        return "error"
    return _said(act.outcome.failing) if act.outcome else "ok"


def _said(failing: int) -> str:
    return f"{failing} failing" if failing else "green"


def _checks(snapshot: Snapshot) -> str:
    return _said(snapshot.last.failing) if snapshot.last else "not run yet"
