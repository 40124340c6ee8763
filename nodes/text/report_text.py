"""The layout of the report: Markdown from state and record, no model and no file."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from core.artifacts import CheckRun, EarlierRequest, QAReport, ReportNarrative, RoleUsage, RoutingDecision
from core.config.settings import EMBEDDED
from core.state import UNCHECKED, Outcome
from core.storage.thread_ids import short_id
from nodes.text.rendering import bullets
from nodes.text.shorten import clip

TITLES: Mapping[Outcome, str] = {
    "done": "Done: all checks are green",
    "answered": "Answered",
    "not_done": "Not done",
    "stuck": "Stuck",
    "needs_model": "Stopped: this task needs a model",
    "budget": "Stopped by a budget",
}


@dataclass(frozen=True, slots=True)
class RunFigures:
    """Numbers of the run that are not part of the graph's state."""

    thread_id: str
    branch: str
    stat: str
    changed: bool
    usage: Mapping[str, RoleUsage]
    sandbox: str
    uncommitted: bool = False
    """Some changes are not committed to the branch."""


def report_markdown(state: Mapping[str, Any], narrative: ReportNarrative, facts: RunFigures, *, status: Outcome) -> str:
    """Lay out the report.

    Args:
        state: The graph's state; sections with missing keys are left out.
        narrative: The text.
        facts: The numbers.
        status: How the thread ended.
    """
    sections = [
        f"# {_title(status, state)}",
        _quoted("Task", str(state["task"])),
        _part("Earlier requests", _earlier(state.get("earlier", ()))),
        _part("Routing", _routing(state.get("routing"))),
        _part("What happened", narrative.summary),
        _part("Why it stopped", "" if status in ("done", "answered") else str(state.get("stop_reason", ""))),
        _part("Left to do", bullets(narrative.left_to_do)),
        _steps(state),
        _part("Changes", f"```\n{facts.stat.rstrip()}\n```" if facts.changed else ""),
        _checks(state.get("baseline"), state.get("qa")),
        _served(state),
        _usage(facts.usage),
        _part("Sandbox", facts.sandbox),
        _how_to_apply(facts, status),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _title(status: Outcome, state: Mapping[str, Any]) -> str:
    qa = state.get("qa")
    if status == "done" and not (qa and qa.checks):
        return f"Done: {UNCHECKED}"
    return TITLES[status]


def _part(title: str, body: str) -> str:
    return f"## {title}\n\n{body.strip()}" if body.strip() else ""


def _quoted(title: str, text: str) -> str:
    return _part(title, "\n".join(f"> {line}" for line in text.strip().splitlines()))


def _routing(decision: RoutingDecision | None) -> str:
    if decision is None:
        return ""
    return f"{decision.routing_decision} to {decision.target_model} ({decision.confidence:.2f}): {decision.reason}"


def _earlier(requests: Iterable[EarlierRequest]) -> str:
    parts = []
    for at, request in enumerate(requests, start=1):
        quoted = "\n".join(f"   > {line}" for line in request.task.strip().splitlines())
        said = "\n".join(f"   {line}".rstrip() for line in request.summary.strip().splitlines())
        parts.append("\n\n".join(part for part in (f"{at}. {request.outcome}", quoted, said) if part))
    return "\n\n".join(parts)


def _steps(state: Mapping[str, Any]) -> str:
    plan, done = state.get("plan"), state.get("steps_done", ())
    if plan is None:
        return ""
    commits: dict[str, list[str]] = {}
    for result in state.get("step_results", ()):
        commits.setdefault(result.step_id, []).extend([f"`{result.commit[:8]}`"] if result.commit else [])
    lines = [
        f"- [{'x' if step.id in done else ' '}] {step.title} {' '.join(commits.get(step.id, []))}".rstrip()
        for step in plan.steps
    ]
    return _part("Steps", "\n".join(lines))


def _checks(baseline: QAReport | None, qa: QAReport | None) -> str:
    parts = []
    if baseline and baseline.checks:
        parts.append(f"Before: {_verdicts(baseline.checks)}")
    if qa is not None:
        parts.append(f"After: {_verdicts(qa.checks)}" if qa.checks else "After: there was no check to run")
        parts += [f"```\n$ {run.command}\n{clip(run.output.strip(), 1500)}\n```" for run in qa.checks]
        if qa.verdict is not None:
            parts.append(bullets(f"{'met' if i.met else 'NOT met'}: {i.criterion}" for i in qa.verdict.criteria))
            parts.append(bullets(f"concern: {concern}" for concern in qa.verdict.concerns))
    return _part("Checks", "\n\n".join(part for part in parts if part))


def _verdicts(runs: Iterable[CheckRun]) -> str:
    return ", ".join(f"`{run.command}` {'green' if run.passed else 'RED'} ({run.duration_s:.1f} s)" for run in runs)


def _served(state: Mapping[str, Any]) -> str:
    rows = [f"| {node} | {who.role} | {who.spec} | {who.reason} |" for node, who in state.get("served", {}).items()]
    if not rows:
        return ""
    table = "\n".join(["| node | role | model | why |", "|---|---|---|---|", *rows])
    embedded = sorted({who.role for who in state["served"].values() if who.spec == EMBEDDED})
    note = f"\n\nThe embedded engine (no LLM) served: {', '.join(embedded)}." if embedded else ""
    return _part("Which model did what", table + note)


def _usage(usage: Mapping[str, RoleUsage]) -> str:
    if not usage:
        return ""
    rows = [
        f"| {role} | {spec} | {row.calls} | {row.failed} | {_count(row.input_tokens)} | {_count(row.output_tokens)} |"
        f" {row.seconds:.1f} | {_dollars(row.cost_usd)} |"
        for role, whole in sorted(usage.items())
        for spec, row in whole.by_spec.items()
    ]
    head = ["| role | model | calls | failed | tokens in | tokens out | seconds | cost |", f"|{'---|' * 8}"]
    return _part("Usage per role", "\n".join([*head, *rows]))


def _count(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def _dollars(value: float | None) -> str:
    return "unknown" if value is None else f"${value:.4f}"


def _how_to_apply(facts: RunFigures, status: Outcome) -> str:
    if not facts.changed:
        return ""
    short = short_id(facts.thread_id)
    where = f"The work is on branch `{facts.branch}`; your checkout was not touched."
    if facts.uncommitted:
        where += f" Some of it is not committed yet and will not be applied; run `rolecall resume {short}` to continue."
    if status in ("done", "answered"):
        return _part("How to apply", f"{where}\n\n```\nrolecall diff {short}\nrolecall apply {short}\n```")
    where += " It is not known to be correct; applying it anyway needs `--force`."
    return _part("How to apply", f"{where}\n\n```\nrolecall diff {short}\nrolecall apply {short} --force\n```")
