"""Closes the thread: the text by the primary, the numbers from the record, both into `report.md` and `diff.patch`."""

import asyncio
from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict, cast

from langgraph.runtime import Runtime

from core.artifacts import (
    EarlierRequest,
    Plan,
    QAReport,
    Report,
    ReportNarrative,
    RoutingDecision,
    Scope,
    Served,
    StepResult,
    StepSummary,
)
from core.context import Context
from core.errors import BudgetError, ModelError
from core.state import Outcome
from core.storage.layout import RunFiles
from core.text import readable, visible
from nodes.guidance.delivery import DeliveredGuidance
from nodes.model_calls.model_call import NodeQuestion, ask_role
from nodes.text.prompt_text import checks_text, review_text
from nodes.text.report_text import RunFigures, report_markdown


class ReportInput(TypedDict):
    """What reporting needs; most of it is missing when a thread ends early."""

    task: str
    outcome: NotRequired[Outcome]
    stop_reason: NotRequired[str]
    answer: NotRequired[str]
    earlier: NotRequired[tuple[EarlierRequest, ...]]
    routing: NotRequired[RoutingDecision]
    scope: NotRequired[Scope]
    plan: NotRequired[Plan]
    steps_done: NotRequired[tuple[str, ...]]
    step_results: NotRequired[tuple[StepResult, ...]]
    summaries: NotRequired[tuple[StepSummary, ...]]
    baseline: NotRequired[QAReport]
    qa: NotRequired[QAReport | None]
    served: NotRequired[dict[str, Served]]


async def report(state: ReportInput, runtime: Runtime[Context]) -> dict[str, Any]:
    """Write the report; a thread does not end because no model could write it."""
    context = runtime.context
    if (answer := state.get("answer")) is not None:
        narrative, update = ReportNarrative(summary=answer), {"outcome": "answered"}
    else:
        narrative, update = await _narrative(state, runtime)
    made = await write_report(state, narrative, context)
    return {"report": made, **update}


async def _narrative(state: ReportInput, runtime: Runtime[Context]) -> tuple[ReportNarrative, dict[str, Any]]:
    context = runtime.context
    qa = state.get("qa")
    values = {
        "task": state["task"],
        "outcome": f"{state.get('outcome', 'not_done')}: {state.get('stop_reason', '')}",
        "steps": "\n".join(f"{item.step_id}: {item.text}" for item in state.get("step_results", ())),
        "checks": checks_text(qa.checks, limit=1500) if qa else "",
        "stat": readable(await context.workspace.diff(stat=True)),
    }
    question = NodeQuestion("report", "primary", values)
    try:
        # Nothing can follow what is said by now: it stays in the inbox and is told as undelivered.
        return await ask_role(question, ReportNarrative, runtime, drained=DeliveredGuidance((), {}))
    except (ModelError, BudgetError) as error:
        context.events.emit("warning", message=f"the report was written without a model: {error.message}")
        return plain_narrative(state), {}


def plain_narrative(state: ReportInput) -> ReportNarrative:
    """The text of a report that no model wrote."""
    texts = [item.text for item in state.get("step_results", ())]
    qa = state.get("qa")
    left = () if state.get("outcome") == "done" or qa is None else (review_text(qa),)
    return ReportNarrative(summary="\n\n".join(texts) or state.get("stop_reason", "Nothing was done."), left_to_do=left)


async def write_report(state: ReportInput, narrative: ReportNarrative, context: Context) -> Report:
    """Write report and diff to the run directory and return the report."""
    changes = await context.workspace.changes()
    facts = RunFigures(
        thread_id=context.thread_id,
        branch=context.workspace.branch,
        stat=readable(changes.stat),
        changed=bool(changes.diff),
        uncommitted=changes.uncommitted,
        usage=dict(context.models.usage()),
        sandbox=context.commands.policy,
    )
    status: Outcome = "answered" if state.get("answer") is not None else state.get("outcome", "not_done")
    markdown = report_markdown(state, narrative, facts, status=status)
    await asyncio.to_thread(_write, context, changes.diff)
    await write_markdown(context, markdown)
    return Report(status=status, summary=narrative.summary, markdown=markdown, left_to_do=narrative.left_to_do)


async def write_markdown(context: Context, markdown: str) -> None:
    """Write the report to the run directory, which exists, without terminal control characters."""
    path = RunFiles(context.workspace.run_dir).report
    await asyncio.to_thread(path.write_text, visible(context.redactor.clean(markdown)), encoding="utf-8")


def _write(context: Context, diff: str) -> None:
    files = RunFiles(context.workspace.run_dir)
    files.folder.mkdir(parents=True, exist_ok=True)
    # As git gave it, byte for byte, since a source need not be UTF-8; `git apply` wants the last line to end.
    patch = f"{diff}\n" if diff else ""
    files.diff.write_text(patch, encoding="utf-8", errors="surrogateescape", newline="")


def interim_state(state: Mapping[str, Any], *, outcome: Outcome, reason: str) -> ReportInput:
    """The state of a thread that stopped midway, as the report needs it."""
    kept = {key: value for key, value in state.items() if key in ReportInput.__annotations__ and key != "answer"}
    return cast("ReportInput", {"task": "", **kept, "outcome": outcome, "stop_reason": reason})
