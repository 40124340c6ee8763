"""The last words of a run, for people and for programs."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.artifacts import RoleUsage, SpecUsage
from core.errors import Exit
from core.state import UNCHECKED
from core.storage.thread_ids import short_id
from core.text import counted
from rolecall.invocation import Invocation
from rolecall.output.event_text import hanging_indent, tokens_in_out, without_control_characters

if TYPE_CHECKING:
    from graph.runner import RunOutcome

_SAID = {
    "done": "done, the checks are green",
    "answered": "answered",
    "not_done": "finished, but not done",
    "stuck": "stuck",
    "needs_model": "stuck: needs a model",
    "budget": "stopped by a budget",
    "waiting": "waits for an answer",
}


def result_fields(outcome: "RunOutcome", code: int) -> dict[str, Any]:
    """The fields of the last JSON line."""
    return {"v": 1, "thread": outcome.thread_id, "event": "result", **outcome.told(), "exit_code": code}


def print_outcome(outcome: "RunOutcome", code: int, invocation: Invocation) -> None:
    """Print the result to stdout: what came of it, where it lies, what it took, what to do next."""
    changed = bool(outcome.diff_path) and Path(outcome.diff_path).stat().st_size > 0
    unchecked = outcome.status == "done" and UNCHECKED in outcome.message
    rows = [
        (short_id(outcome.thread_id), "done" if unchecked else _SAID.get(outcome.status, outcome.status)),
        ("", without_control_characters(invocation.named(outcome.message))),
        ("branch", outcome.branch if changed else ""),
        ("report", outcome.report_path),
        ("diff", outcome.diff_path if changed else ""),
        *(("used" if at == 0 else "", text) for at, text in enumerate(usage_lines(outcome.usage))),
    ]
    if code == Exit.DONE and changed:
        invocation.thread = outcome.thread_id
        rows += [("see it", invocation.on_thread("diff")), ("take it", invocation.on_thread("apply"))]
    for label, text in rows:
        for at, line in enumerate(without_control_characters(text).splitlines()):
            print(f"{label if at == 0 else '':<9} {line}")
    sys.stdout.flush()
    if outcome.hint and outcome.status != "paused":  # how to go on is said below anyway
        print(f"hint: {hanging_indent(invocation.named(outcome.hint))}", file=sys.stderr)


def usage_lines(usage: Mapping[str, RoleUsage]) -> list[str]:
    """One line per role and model called: calls, tokens, cost. What is unknown is left out, not shown as 0."""
    return [
        " ".join(_used_by(role, spec, one))
        for role, whole in sorted(usage.items())
        for spec, one in whole.by_spec.items()
    ]


def _used_by(role: str, spec: str, one: SpecUsage) -> list[str]:
    words = [f"{role}: {spec},", f"{counted(one.calls, 'call')}{_of_no_use(one)},"]
    if said := tokens_in_out(one.input_tokens, one.output_tokens):
        words.append(f"{said},")
    words.append(f"{one.seconds:.1f} s")
    if one.cost_usd:
        words.append(f"({one.cost_usd:.4f} USD)")
    return words


def _of_no_use(one: SpecUsage) -> str:
    if not one.failed:
        return ""
    return " without a usable answer" if one.failed == one.calls else f" ({one.failed} without a usable answer)"
