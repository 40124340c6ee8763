"""Quality: runs the repository's checks for real, then lets the primary judge the diff if they are green."""

from typing import Any, NotRequired, TypedDict

from langgraph.runtime import Runtime

from core.artifacts import Plan, QAReport, QAVerdict, Scope
from core.context import Context
from core.text import readable
from nodes.model_calls.model_call import NodeQuestion, ask_role
from nodes.text.prompt_text import checks_text, step_text
from nodes.text.rendering import bullets
from nodes.text.shorten import clip

DIFF_CHARS = 24_000


class QAInput(TypedDict):
    """What judging needs."""

    task: str
    scope: Scope
    plan: Plan
    current_step: str
    baseline: QAReport
    steps_done: NotRequired[tuple[str, ...]]
    guidance_cursor: NotRequired[int]


async def qa(state: QAInput, runtime: Runtime[Context]) -> dict[str, Any]:
    """Run the checks; a red one is the verdict and no model is asked to vote on it."""
    context = runtime.context
    before = tuple(run.command for run in state["baseline"].checks)
    report = QAReport(checks=await context.checks.run(before=before))
    if report.checks and not report.green:
        return {"qa": report}
    done = (*state.get("steps_done", ()), state["current_step"])
    step = next(item for item in state["plan"].steps if item.id == state["current_step"])
    values = {
        "task": state["task"],
        "criteria": bullets(state["scope"].acceptance_criteria),
        "step": step_text(step),
        "steps_left": any(item.id not in done for item in state["plan"].steps),
        "checks": checks_text(report.checks, limit=1500),
        "diff": clip(readable(await context.workspace.diff()), DIFF_CHARS) or "nothing was changed",
    }
    question = NodeQuestion("qa", "primary", values, state.get("guidance_cursor", 0))
    verdict, update = await ask_role(question, QAVerdict, runtime)
    return {"qa": report.model_copy(update={"verdict": verdict}), **update}
