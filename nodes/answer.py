"""Answers a question without changing a file: directly by the router, or by the reasoning model with read tools."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NotRequired, TypedDict

from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from core.artifacts import EarlierRequest, RoutingDecision
from core.context import Context
from core.errors import ModelError
from core.replies import CallSite
from nodes.guidance.delivery import deliver_waiting
from nodes.model_calls.agent_loop import build_loop, final_text, served_by
from nodes.model_calls.model_call import bookkeeping, budget_left
from nodes.text.prompt_text import earlier_text
from nodes.text.rendering import render


class AnswerInput(TypedDict):
    """What answering needs."""

    task: str
    routing: RoutingDecision
    earlier: NotRequired[tuple[EarlierRequest, ...]]
    guidance_cursor: NotRequired[int]


AnswerNode = Callable[[AnswerInput, Runtime[Context]], Awaitable[dict[str, Any]]]


def build_answer(*, max_calls: int) -> AnswerNode:
    """Build the node around its reading loop."""
    loop = build_loop("answer", "reasoning", max_calls=max_calls, tools=True)

    async def answer(state: AnswerInput, runtime: Runtime[Context]) -> dict[str, Any]:
        context = runtime.context
        if state["routing"].routing_decision == "HANDLE":
            try:
                return await _at_once(state, context)
            except ModelError as error:
                context.events.emit(
                    "warning", message=f"the router did not answer, so the question is delegated: {error.message}"
                )
        return await _with_tools(loop, state, context)

    return answer


async def _at_once(state: AnswerInput, context: Context) -> dict[str, Any]:
    drained = await deliver_waiting(state.get("guidance_cursor", 0), context, "answer")
    messages = [
        SystemMessage(render("answer/system", tools=False)),
        HumanMessage(await _question(state, context)),
        *drained.messages,
    ]
    site = CallSite(thread=context.thread_id, node="answer")
    reply = await context.models.chat("router", messages, site=site)
    return {"answer": reply.text, **drained.update, **bookkeeping("answer", reply, context)}


async def _with_tools(
    loop: CompiledStateGraph[Any, Context, Any, Any], state: AnswerInput, context: Context
) -> dict[str, Any]:
    opening = HumanMessage(await _question(state, context))
    entry = {"messages": [opening], "guidance_cursor": state.get("guidance_cursor", 0)}
    final = await loop.ainvoke(entry, context=context)
    spoke = served_by(final)
    update: dict[str, Any] = {"answer": await _synthesized(final, state["task"], context)}
    update["budget_left"] = budget_left(context.models, context.settings.budget)
    if spoke:
        update["served"] = {"answer": spoke}
    return update | {key: final[key] for key in ("guidance_cursor", "guidance") if final.get(key)}


async def _synthesized(final: Mapping[str, Any], task: str, context: Context) -> str:
    """The answer from what the loop read; its last message if it read nothing, or if no model rephrases it."""
    notes = final_text(final)
    if not any(isinstance(message, ToolMessage) for message in final["messages"]):
        return notes
    prompt = HumanMessage(render("answer/synthesize", task=task, notes=notes))
    site = CallSite(thread=context.thread_id, node="answer", purpose="synthesize")
    try:
        reply = await context.models.chat("primary", [prompt], site=site)
    except ModelError as error:
        context.events.emit("warning", message=f"the answer is shown as found; no model rephrased it: {error.message}")
        return notes
    return reply.text.strip() or notes


async def _question(state: AnswerInput, context: Context) -> str:
    earlier = earlier_text(state.get("earlier", ()))
    return render("answer/user", task=state["task"], listing=await context.workspace.listing(), earlier=earlier)
