"""The final output of a run, for people and for programs."""

import sys
from collections.abc import Mapping
from pathlib import Path

from core.artifacts import RoleUsage, SpecUsage
from core.errors import Exit
from core.run_result import RunResult
from core.state import UNCHECKED
from core.storage.thread_ids import short_id
from core.text import counted
from core.threads import ThreadStatus
from rolecall.invocation import Invocation
from rolecall.output.event_text import hanging_indent, tokens_in_out, without_control_characters

_SAID = {
    ThreadStatus.DONE: "done, the checks are green",
    ThreadStatus.NOT_DONE: "finished, but not done",
    ThreadStatus.NEEDS_MODEL: "stuck: needs a model",
    ThreadStatus.BUDGET: "stopped by a budget",
    ThreadStatus.WAITING: "waiting for an answer",
}
"""Of statuses whose own word does not say it."""


def print_outcome(outcome: RunResult, code: int, invocation: Invocation) -> None:
    """Print the result to stdout: the outcome, where the work is, what it used, what to do next."""
    changed = bool(outcome.diff_path) and Path(outcome.diff_path).stat().st_size > 0
    unchecked = outcome.status is ThreadStatus.DONE and UNCHECKED in outcome.message
    rows = [
        (short_id(outcome.thread_id), "done" if unchecked else _SAID.get(outcome.status, str(outcome.status))),
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
    if outcome.hint and outcome.status is not ThreadStatus.PAUSED:  # how to go on is said below anyway
        print(f"hint: {hanging_indent(invocation.named(outcome.hint))}", file=sys.stderr)


def usage_lines(usage: Mapping[str, RoleUsage]) -> list[str]:
    """One line per role and model called: calls, token_count, cost. What is unknown is left out, not shown as 0."""
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
