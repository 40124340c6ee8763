"""Says in a line what the last step did; by the summarizer, never by the primary."""

from typing import Any, NotRequired, TypedDict

from langgraph.runtime import Runtime

from core.artifacts import Plan, StepResult, StepSummary
from core.context import Context
from core.errors import ModelError
from core.text import one_line, readable
from nodes.model_calls.model_call import NodeQuestion, ask_role
from nodes.text.prompt_text import step_text
from nodes.text.shorten import clip

LINE = 100


class SummarizeInput(TypedDict):
    """What summarizing needs."""

    plan: Plan
    current_step: str
    step_results: tuple[StepResult, ...]
    guidance_cursor: NotRequired[int]


async def summarize(state: SummarizeInput, runtime: Runtime[Context]) -> dict[str, Any]:
    """Ask the summarizer; a run does not end because no model could summarize it."""
    context = runtime.context
    step = next(item for item in state["plan"].steps if item.id == state["current_step"])
    result = state["step_results"][-1]
    values = {
        "step": step_text(step),
        "result": clip(result.text, 3000),
        "stat": readable(await context.workspace.diff(stat=True)),
    }
    question = NodeQuestion("summarize", "summarizer", values, state.get("guidance_cursor", 0))
    try:
        summary, update = await ask_role(question, StepSummary, runtime)
    except ModelError as error:
        context.events.emit("warning", message=f"no model summarized the step: {error.message}")
        summary, update = extract_summary(step.title, result), {}
    line = one_line(summary.status_line, LINE) or one_line(step.title, LINE)
    context.events.emit("status", text=line)
    return {"summaries": (summary.model_copy(update={"status_line": line}),), "status_line": line, **update}


def extract_summary(title: str, result: StepResult) -> StepSummary:
    """A summary from the text that already exists."""
    files = ", ".join(result.files) or "no file"
    return StepSummary(status_line=one_line(f"{title}: {files}", LINE))
