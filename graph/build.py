"""The graph: which node follows which. Contains edges only; what happens in a node is up to the node."""

import functools
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from core.config.settings import BudgetSettings
from core.context import Context
from core.state import RunState
from graph.store.debug_log import logging_as
from nodes.answer import build_answer
from nodes.assess import assess
from nodes.clarify import clarify
from nodes.implement import build_implement
from nodes.plan import plan
from nodes.qa import qa
from nodes.report import report
from nodes.route import route
from nodes.scope import scope
from nodes.summarize import summarize

ContextFor = Callable[[str, str], Awaitable[Context]]
"""Opens the collaborators of a thread, given with its task; called when a run was started without a context (Studio).

The task is empty where the node that runs first does not read it.
"""

GraphBuilder = StateGraph[RunState, Context, RunState, RunState]


def build_graph(limits: BudgetSettings | None = None, *, context_for: ContextFor | None = None) -> GraphBuilder:
    """Wire the nodes; the caller compiles with a checkpointer of its choice.

    Args:
        limits: Limits of the loops; defaults when absent.
        context_for: Where nodes get their collaborators when the caller passed none.
    """
    limits = limits or BudgetSettings()
    # A server turns the context of a request into the schema's type; collaborators cannot come in a request.
    builder: GraphBuilder = StateGraph(RunState, context_schema=None if context_for else Context)
    nodes: dict[str, Callable[..., Awaitable[dict[str, Any]]]] = {
        "route": route,
        "answer": build_answer(max_calls=limits.max_loop_calls),
        "scope": scope,
        "clarify": clarify,
        "plan": plan,
        "implement": build_implement(max_calls=limits.max_loop_calls),
        "summarize": summarize,
        "qa": qa,
        "assess": assess,
        "report": report,
    }
    for name, bare in nodes.items():
        node = with_span(name, bare)
        builder.add_node(name, with_context(name, node, context_for) if context_for else node)
    builder.add_edge(START, "route")
    builder.add_conditional_edges("route", after_route)
    builder.add_edge("answer", "report")
    builder.add_conditional_edges("scope", after_scope)
    builder.add_edge("clarify", "plan")
    builder.add_edge("plan", "implement")
    builder.add_edge("implement", "summarize")
    builder.add_edge("summarize", "qa")
    builder.add_edge("qa", "assess")
    builder.add_conditional_edges("assess", after_assess)
    builder.add_edge("report", END)
    return builder


def after_route(state: RunState) -> Literal["answer", "scope"]:
    """A question is answered, anything else is work."""
    decision = state["routing"]
    question = decision.routing_decision == "HANDLE" or decision.target_model == "REASONING"
    return "answer" if question else "scope"


def after_scope(state: RunState, runtime: Runtime[Any]) -> Literal["clarify", "plan"]:
    """Questions are asked only if someone is there to answer."""
    # In Studio the caller gives no collaborators; whoever steps through a graph there can answer.
    attended = not isinstance(runtime.context, Context) or runtime.context.options.interactive
    return "clarify" if state["scope"].questions and attended else "plan"


def after_assess(state: RunState) -> Literal["implement", "plan", "report"]:
    """The next step and a fix go to the coder, a replan to the planner, everything else is the end."""
    match state["assessment"].action:
        case "next_step" | "fix":
            return "implement"
        case "replan":
            return "plan"
        case _:
            return "report"


def with_span(name: str, node: Callable[..., Awaitable[dict[str, Any]]]) -> Callable[..., Awaitable[dict[str, Any]]]:
    """Give each visit of a node its span in the trace of the run."""

    @functools.wraps(node)
    async def spanned(state: Any, runtime: Runtime[Context]) -> dict[str, Any]:
        async with runtime.context.models.span(name):
            return await node(state, runtime)

    return spanned


def with_context(
    name: str, node: Callable[..., Awaitable[dict[str, Any]]], context_for: ContextFor
) -> Callable[..., Awaitable[dict[str, Any]]]:
    """Give a node its thread's collaborators if the caller of the graph could not, and report the node.

    Args:
        name: Of the node.
        node: What it does.
        context_for: Where its collaborators come from.
    """

    @functools.wraps(node)
    async def bound(state: Any, runtime: Runtime[Any]) -> dict[str, Any]:
        if isinstance(runtime.context, Context):
            return await node(state, runtime)
        context = await context_for(_thread_of(runtime), str(state.get("task", "")))
        begun = time.monotonic()
        context.events.emit("node_started", node=name, step=state.get("current_step"))
        ok = False
        try:
            with logging_as(context.thread_id, context.redactor):
                made = await node(state, runtime.override(context=context))
            ok = True
        finally:
            seconds = round(time.monotonic() - begun, 3)
            context.events.emit("node_finished", node=name, seconds=seconds, ok=ok)
        return made

    return bound


def _thread_of(runtime: Runtime[Any]) -> str:
    info = runtime.execution_info
    if info is None or info.thread_id is None:
        msg = "the graph was run without a thread id"
        raise ValueError(msg)
    return info.thread_id
