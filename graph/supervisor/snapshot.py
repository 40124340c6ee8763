"""What the supervisor sees of a thread at one moment. Reads the states it is given; opens nothing."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from core.artifacts import BudgetLeft, Plan, PlanStep, QAReport, StepResult
from core.config.settings import BudgetSettings
from core.tool_effects import kept_effects

_WRITES = re.compile(
    r">|\b(tee|mv|cp|rm|touch|mkdir|patch|black|isort)\b|sed\s+-i|--fix\b|\b(ruff|cargo|go)\s+(format|fmt)\b"
    r"|\bgit\s+(apply|checkout|restore|mv|rm|reset|revert|stash)\b"
)
"""Commands that probably change files. One too many delays a nudge, one too few causes a needless one."""
_UNCHANGED = "already"
_NOISE = re.compile(r"0x[0-9a-f]+|\b\d+(\.\d+)?\s*(s|ms|seconds?)\b|outputs/\d+\.txt|\d+", re.IGNORECASE)
_FAILED = re.compile(r"^(?:FAILED|ERROR)\s+(\S+)|^(?:FAIL|ERROR): (\S+)|^test (\S+) \.\.\. FAILED", re.MULTILINE)
_RED = re.compile(r"^\[(?:RED|timed out)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """How the checks ended."""

    failing: int
    """Failing tests, or failing commands where no tests are named; 0 is green."""
    mark: str
    """Equal for equal sets of failures, whatever the durations and line numbers."""
    at: int = 0
    """Tool calls made earlier in the thread."""


@dataclass(frozen=True, slots=True)
class FinishedToolCall:
    """One tool call of the coding loop, with its result."""

    tool: str
    args: str
    result: str
    """Mark of the result without numbers, so that two runs of the same compare equal."""
    error: bool = False
    changed: bool = False
    """Whether it changed files, as far as its effects and its text show."""
    file: str = ""
    """The file it changed, if it says so."""
    outcome: CheckOutcome | None = None
    """Of a run of the checks."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A thread at one moment."""

    task: str = ""
    node: str = ""
    step: PlanStep | None = None
    attempt: int = 1
    acts: tuple[FinishedToolCall, ...] = ()
    """Of the current visit of the coding loop."""
    calls: int = 0
    """Model calls of that visit."""
    silent: int = 0
    """Answers at the end of it that called no tool."""
    prompt_tokens: int = 0
    outcomes: tuple[CheckOutcome, ...] = ()
    """Of this step, oldest first: one per change of files."""
    usual: tuple[int, ...] = ()
    """Tool calls of the finished visits."""
    work: int = 0
    """Tool calls of the whole thread."""
    used: float = 0.0
    """Share of the tightest limit that is used, 0 without limits."""
    done: tuple[str, ...] = ()
    steps: tuple[PlanStep, ...] = ()
    files: tuple[str, ...] = ()
    """Changed so far, as far as results and tool calls show."""
    last: CheckOutcome | None = None
    """Of the last checks that ran, wherever."""
    finished: bool = False
    refused: Mapping[int | None, str] = field(default_factory=dict)
    """Rows of the inbox that were not followed, and why."""


def take_snapshot(
    outer: Mapping[str, Any],
    inner: Mapping[str, Any],
    *,
    node: str,
    earlier: Sequence[CheckOutcome] = (),
    limits: BudgetSettings | None = None,
    left: BudgetLeft | None = None,
) -> Snapshot:
    """Make a snapshot.

    Args:
        outer: State of the graph.
        inner: State of the agent loop that is running; empty when none is.
        node: The node that runs or comes next; empty when the thread is finished.
        earlier: Outcomes of the checks after earlier attempts at the current step.
        limits: What the remaining budget is measured against.
        left: What is left of the budget now, where the caller knows it better than the state.
    """
    plan: Plan | None = outer.get("plan")
    steps = plan.steps if plan else ()
    results: tuple[StepResult, ...] = outer.get("step_results", ())
    messages: list[BaseMessage] = list(inner.get("messages", ()))
    before = sum(result.tool_calls for result in results)
    acts = finished_tool_calls(messages, before=before)
    outcomes = (*earlier, *_loop_outcomes(acts))
    return Snapshot(
        task=str(outer.get("task", "")),
        node=node,
        step=next((step for step in steps if step.id == outer.get("current_step")), None),
        attempt=outer.get("attempt", 1),
        acts=acts,
        calls=int(inner.get("thread_model_call_count", 0)) or sum(isinstance(m, AIMessage) for m in messages),
        silent=_silent(messages),
        prompt_tokens=_prompt_tokens(messages),
        outcomes=outcomes,
        usual=tuple(result.tool_calls for result in results),
        work=before + len(acts),
        used=max(_used(outer.get("budget_left"), limits), _used(left, limits)),
        done=tuple(outer.get("steps_done", ())),
        steps=steps,
        files=_files(results, acts),
        last=next(reversed(outcomes), None) or check_outcome(outer.get("baseline"), at=0),
        finished=not node and bool(outer.get("task")),
        refused={item.id: item.reason for item in outer.get("refused", ())},
    )


def finished_tool_calls(messages: Sequence[BaseMessage], *, before: int = 0) -> tuple[FinishedToolCall, ...]:
    """The finished tool calls of a transcript, oldest first."""
    results = {message.tool_call_id: message for message in messages if isinstance(message, ToolMessage)}
    acts: list[FinishedToolCall] = []
    for message in messages:
        for call in message.tool_calls if isinstance(message, AIMessage) else ():
            result = results.get(call["id"] or "")
            if result is not None:
                acts.append(_act(call["name"], call["args"], result, at=before + len(acts) + 1))
    return tuple(acts)


def check_outcome(report: QAReport | None, *, at: int) -> CheckOutcome | None:
    """The outcome of the checks in a report; `None` when none ran."""
    if report is None or not report.checks:
        return None
    red = [run for run in report.checks if not run.passed]
    failing = [name for run in red for name in _failing(run.output)]
    text = "\n".join(run.output for run in red)
    return CheckOutcome(len(set(failing)) or len(red), _mark(failing, text), at)


def share_done(snapshot: Snapshot) -> float:
    """Share of the steps that are done."""
    return len(set(snapshot.done)) / len(snapshot.steps) if snapshot.steps else 0.0


def _act(tool: str, args: Mapping[str, Any], result: ToolMessage, *, at: int) -> FinishedToolCall:
    text = result.text
    error = result.status == "error"
    effects = kept_effects(result.additional_kwargs.get("effects"))
    outcome = None
    if effects.checks and not error:
        failing = _failing(text)
        red = len(set(failing)) or len(_RED.findall(text))
        outcome = CheckOutcome(red, _mark(failing, text) if red else "", at)
    command = args.get("command") if effects.runs_commands else None
    writes = effects.writes if command is None else bool(_WRITES.search(str(command)))
    changed = writes and not error and _UNCHANGED not in text[:200]
    file = str(args.get("path", "")) if changed and command is None else ""
    given = json.dumps(args, sort_keys=True, default=str)
    return FinishedToolCall(tool, given, _mark((), text), error, changed, file, outcome)


def _files(results: Sequence[StepResult], acts: Sequence[FinishedToolCall]) -> tuple[str, ...]:
    return tuple(sorted({*(file for result in results for file in result.files), *(act.file for act in acts)} - {""}))


def _failing(output: str) -> list[str]:
    return [next(name for name in found if name) for found in _FAILED.findall(output)]


def _mark(failing: Sequence[str], text: str) -> str:
    told = "\n".join(sorted(set(failing))) if failing else _NOISE.sub("#", text)
    return hashlib.blake2b(told.encode(), digest_size=8).hexdigest()


def _loop_outcomes(acts: Sequence[FinishedToolCall]) -> tuple[CheckOutcome, ...]:
    kept: list[CheckOutcome] = []
    changed = True
    for act in acts:
        changed = changed or act.changed
        if act.outcome is not None and changed:
            kept.append(act.outcome)
            changed = False
    return tuple(kept)


def _silent(messages: Sequence[BaseMessage]) -> int:
    count = 0
    for message in reversed(messages):
        if isinstance(message, AIMessage) and not message.tool_calls:
            count += 1
        elif not isinstance(message, HumanMessage):
            break
    return count


def _prompt_tokens(messages: Sequence[BaseMessage]) -> int:
    for message in reversed(messages):
        if isinstance(message, AIMessage) and message.usage_metadata:
            return message.usage_metadata["total_tokens"]
    return 0


def _used(left: BudgetLeft | None, limits: BudgetSettings | None) -> float:
    if left is None or limits is None:
        return 0.0
    pairs = (
        (left.tokens, limits.max_tokens),
        (left.cost_usd, limits.max_cost_usd),
        (left.model_calls, limits.max_model_calls),
        (left.seconds, limits.max_minutes and limits.max_minutes * 60),
    )
    return max((1 - rest / limit for rest, limit in pairs if rest is not None and limit), default=0.0)
