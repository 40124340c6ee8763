"""Works on the current step: an agent loop over the workspace tools, then a commit."""

from collections.abc import Awaitable, Callable
from typing import Any, NotRequired, TypedDict

from langchain_core.messages import HumanMessage, ToolMessage
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from core.artifacts import AssessDecision, Guidance, Plan, PlanStep, QAReport, Scope, StepResult
from core.context import Context
from core.text import one_line, readable, visible_line
from nodes.model_calls.agent_loop import build_loop, final_text, served_by
from nodes.model_calls.model_call import budget_left
from nodes.text.prompt_text import checks_text, plan_text, review_text
from nodes.text.rendering import render
from nodes.text.shorten import shorten_texts

SUBJECT = 72


class ImplementInput(TypedDict):
    """What working on a step needs."""

    task: str
    scope: Scope
    plan: Plan
    current_step: str
    baseline: QAReport
    attempt: NotRequired[int]
    steps_done: NotRequired[tuple[str, ...]]
    step_results: NotRequired[tuple[StepResult, ...]]
    qa: NotRequired[QAReport | None]
    assessment: NotRequired[AssessDecision]
    guidance_cursor: NotRequired[int]
    guidance: NotRequired[tuple[Guidance, ...]]


ImplementNode = Callable[[ImplementInput, Runtime[Context]], Awaitable[dict[str, Any]]]


def build_implement(*, max_calls: int) -> ImplementNode:
    """Build the node around its loop.

    The loop is in the node's closure, where LangGraph finds it for `get_state(subgraphs=True)` and for resuming:
    after a crash the node restarts and the loop continues in the middle, whatever input it is given.
    """
    loop = build_loop("implement", "coder", max_calls=max_calls)

    async def implement(state: ImplementInput, runtime: Runtime[Context]) -> dict[str, Any]:
        return await _work(loop, state, runtime)

    return implement


async def _work(
    loop: CompiledStateGraph[Any, Context, Any, Any], state: ImplementInput, runtime: Runtime[Context]
) -> dict[str, Any]:
    context = runtime.context
    step = next(item for item in state["plan"].steps if item.id == state["current_step"])
    final = await loop.ainvoke(_entry(step, state), context=context)
    commit = await context.workspace.commit(commit_subject(step)) or await _unrecorded(state, context)
    files: tuple[str, ...] = ()
    if commit:
        files = tuple(readable(name) for name in await context.workspace.changed_files(commit))
        context.events.emit("step_committed", step=step.id, commit=commit, files=list(files))
    notices = context.workspace.notices()
    for notice in notices:
        context.events.emit("warning", message=readable(notice))
    spoke = served_by(final)
    result = StepResult(
        step_id=step.id,
        attempt=state.get("attempt", 1),
        text="\n".join((final_text(final) or "The coder ended without a final message.", *map(readable, notices))),
        files=files,
        commit=commit,
        tool_calls=sum(isinstance(message, ToolMessage) for message in final["messages"]),
        served_by=spoke.spec if spoke else "",
    )
    result = await shorten_texts(result, context, "implement")
    update: dict[str, Any] = {"step_results": (result,), "snapshot": await context.workspace.snapshot()}
    if spoke:
        update |= {"served": {"implement": spoke}, "budget_left": budget_left(context.models, context.settings.budget)}
    return update | {key: final[key] for key in ("guidance_cursor", "guidance") if final.get(key)}


async def _unrecorded(state: ImplementInput, context: Context) -> str | None:
    """The commit of this visit, if a kill came between it and the checkpoint that would have named it."""
    tip = await context.workspace.tip()
    return tip if tip not in {result.commit for result in state.get("step_results", ())} else None


def _entry(step: PlanStep, state: ImplementInput) -> dict[str, Any]:
    review = state.get("qa")
    checks = (review or state["baseline"]).checks
    brief = render(
        "implement/brief",
        task=state["task"],
        criteria=state["scope"].acceptance_criteria,
        plan=plan_text(state["plan"], done=state.get("steps_done", ()), current=step.id),
        checks=checks_text(checks) if checks else "",
        red=any(not run.passed for run in checks),
    )
    attempt = state.get("attempt", 1)
    advice = state["assessment"].advice if attempt > 1 and "assessment" in state else ""
    setback = f"{review_text(review)}\n{advice}" if review else advice
    opening = HumanMessage(render("implement/user", step=step, attempt=attempt, setback=setback))
    return {
        "messages": [opening],
        "brief": brief,
        "step": step.id,
        "guidance_cursor": state.get("guidance_cursor", 0),
        "guidance": state.get("guidance", ()),
    }


def commit_subject(step: PlanStep) -> str:
    """The first line of the commit of a step."""
    return one_line(visible_line(step.title) or step.id, SUBJECT)  # `git log` shows it on terminals
