"""Scopes the task: runs the checks as they are, then fixes goal and acceptance criteria."""

from typing import Any, NotRequired, TypedDict

from langgraph.runtime import Runtime

from core.artifacts import EarlierRequest, QAReport, Scope
from core.context import Context
from nodes.guidance.plan_changes import keep_criteria
from nodes.model_calls.model_call import NodeQuestion, ask_role
from nodes.model_calls.task_preflight import require_model
from nodes.text.prompt_text import checks_text, earlier_text


class ScopeInput(TypedDict):
    """What scoping needs."""

    task: str
    scope: NotRequired[Scope]
    """Set when the node is run again, in Studio or after a rewind."""
    earlier: NotRequired[tuple[EarlierRequest, ...]]
    guidance_cursor: NotRequired[int]


async def scope(state: ScopeInput, runtime: Runtime[Context]) -> dict[str, Any]:
    """Take the baseline of the checks and ask the primary for goal and acceptance criteria."""
    context = runtime.context
    await require_model(state["task"], context.models, context.thread_id, ("primary",))
    baseline = QAReport(checks=await context.checks.run())
    values = {
        "task": state["task"],
        "listing": await context.workspace.listing(),
        "checks": checks_text(baseline.checks) if baseline.checks else "",
        "red": bool(baseline.checks) and not baseline.green,
        "earlier": earlier_text(state.get("earlier", ())),
    }
    question = NodeQuestion("scope", "primary", values, state.get("guidance_cursor", 0))
    scoped, update = await ask_role(question, Scope, runtime)
    return {"scope": keep_criteria(state.get("scope"), scoped), "baseline": baseline, **update}
