"""Decides who handles the task: a direct answer, the reasoning model, or the coding pipeline."""

from typing import Any, NotRequired, TypedDict

from langgraph.runtime import Runtime

from core.artifacts import EarlierRequest, RoutingDecision
from core.context import Context
from core.errors import ModelError
from llm_registry.embedded.stages import extract_routing
from nodes.model_calls.model_call import NodeQuestion, ask_role
from nodes.text.prompt_text import earlier_text


class RouteInput(TypedDict):
    """What routing needs."""

    task: str
    earlier: NotRequired[tuple[EarlierRequest, ...]]
    guidance_cursor: NotRequired[int]


async def route(state: RouteInput, runtime: Runtime[Context]) -> dict[str, Any]:
    """Ask the router; a HANDLE below the confidence threshold is delegated anyway.

    A run does not end because no model could route it: the task is then delegated by its wording.
    """
    context = runtime.context
    values = {
        "task": state["task"],
        "listing": await context.workspace.listing(limit=60),
        "earlier": earlier_text(state.get("earlier", ())),
    }
    question = NodeQuestion("route", "router", values, state.get("guidance_cursor", 0))
    try:
        decision, update = await ask_role(question, RoutingDecision, runtime)
        settled = delegate_unsure(decision, context.settings.routing.min_confidence)
    except ModelError as error:
        context.events.emit("warning", message=f"no model routed the task: {error.message}")
        settled, update = route_by_wording(state["task"]), {}
    context.events.emit("routing", **settled.model_dump())
    await context.models.note("routing", settled.model_dump())
    return {"routing": settled, **update}


def route_by_wording(task: str) -> RoutingDecision:
    """Route as the embedded engine does: a question goes to the reasoning model, everything else to the coder."""
    return RoutingDecision.model_validate(extract_routing({"task": task}))


def delegate_unsure(decision: RoutingDecision, min_confidence: float) -> RoutingDecision:
    """Turn an unsure HANDLE into a delegation and say so in its reason."""
    if decision.routing_decision == "DELEGATE" or decision.confidence >= min_confidence:
        return decision
    reason = f"confidence {decision.confidence:.2f} is below {min_confidence:.2f}: delegated; {decision.reason}"
    return decision.model_copy(update={"routing_decision": "DELEGATE", "reason": reason})
