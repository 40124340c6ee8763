"""How artifacts read in a prompt: plain text, the same wherever they are shown."""

from collections.abc import Iterable

from core.artifacts import CheckRun, EarlierRequest, Plan, PlanStep, QAReport, Scope
from nodes.text.shorten import clip

CHECK_CHARS = 6000
EARLIER_CHARS = 1500


def checks_text(runs: Iterable[CheckRun], *, limit: int = CHECK_CHARS) -> str:
    """The checks with exit code and output, each output cut to `limit` characters."""
    shown = [
        f"$ {run.command}\n{clip(run.output.strip(), limit)}\n{_ending(run)}"
        for run in runs
    ]  # fmt: skip
    return "\n\n".join(shown) or "no checks were found in this repository"


def _ending(run: CheckRun) -> str:
    if run.timed_out:
        return f"stopped: not finished after {run.duration_s:.0f} s"
    return f"exit code {run.exit_code} after {run.duration_s:.1f} s"


def scope_text(scope: Scope) -> str:
    """A scope as a list of its fields."""
    lines = [f"Goal: {scope.goal}", "Acceptance criteria:", *(f"- {item}" for item in scope.acceptance_criteria)]
    for title, items in (
        ("Relevant files", scope.relevant_files),
        ("Constraints", scope.constraints),
        ("Out of scope", scope.out_of_scope),
    ):
        if items:
            lines += [f"{title}:", *(f"- {item}" for item in items)]
    if scope.how_to_check:
        lines.append(f"How to check: {scope.how_to_check}")
    return "\n".join(lines)


def earlier_text(requests: Iterable[EarlierRequest]) -> str:
    """The thread's earlier requests, each with its outcome and what was done; empty when there are none."""
    return "\n\n".join(
        "\n".join(
            [
                f"Request: {clip(request.task, EARLIER_CHARS)}",
                f"Outcome: {request.outcome}",
                *(f"[x] {title}" for title in request.steps),
                clip(request.summary, EARLIER_CHARS),
            ]
        ).rstrip()
        for request in requests
    )


def step_text(step: PlanStep) -> str:
    """A step in two or three lines."""
    lines = [f"{step.id}: {step.title}", step.details, f"Done when: {step.check}" if step.check else ""]
    return "\n".join(line for line in lines if line)


def plan_text(plan: Plan, *, done: Iterable[str] = (), current: str | None = None) -> str:
    """A plan with its steps marked as done, current or to come."""
    finished = set(done)
    lines: list[str] = []
    for milestone in plan.milestones:
        lines.append(f"Milestone: {milestone.title}")
        for step in milestone.steps:
            mark = "x" if step.id in finished else (">" if step.id == current else " ")
            lines.append(f"[{mark}] {step.id} {step.title}")
    return "\n".join(lines)


def review_text(qa: QAReport) -> str:
    """What checks and judge found wrong, for the next attempt."""
    red = [run for run in qa.checks if not run.passed]
    parts = [checks_text(red)] if red else []
    if qa.verdict is not None:
        unmet = [item for item in qa.verdict.criteria if not item.met]
        parts += [f"Not met: {item.criterion} ({item.evidence})" for item in unmet]
        parts += [f"Concern: {concern}" for concern in qa.verdict.concerns]
    return "\n".join(parts) or "accepted"
