"""The state a thread starts a new request with: earlier requests are kept as history, work on them is cleared."""

from collections.abc import Mapping, Sequence
from typing import Any

from langgraph.types import Overwrite

from core.artifacts import EarlierRequest
from core.context import InboxItem

SUPERSEDED = "superseded"
_GONE = ("answer", "scope", "plan", "current_step", "baseline", "qa", "assessment", "report")
_EMPTY = ("steps_done", "step_results", "summaries")


def continued(values: Mapping[str, Any], requests: Sequence[InboxItem], *, task: str, finished: bool) -> dict[str, Any]:
    """The input that starts the last of the requests; a run killed right after it continues from there.

    Args:
        values: The state of the thread, empty where it has none yet.
        requests: Inbox rows that have not been started yet, oldest first; at least one.
        task: What the thread was started for.
        finished: The previous request has ended.
    """
    *passed_over, now = requests
    before = [_earlier(values, task, finished=finished)]
    before += [EarlierRequest(task=item.text, outcome=SUPERSEDED) for item in passed_over]
    return {
        **dict.fromkeys(_GONE),
        **{name: Overwrite(()) for name in _EMPTY},
        "task": now.text,
        "request": now.id,
        "earlier": tuple(before),
        "attempt": 1,
        "replans": 0,
        "outcome": "not_done",
        "stop_reason": "",
        "status_line": "",
    }


def _earlier(values: Mapping[str, Any], task: str, *, finished: bool) -> EarlierRequest:
    report, plan, done = values.get("report"), values.get("plan"), values.get("steps_done", ())
    steps = plan.steps if plan else ()
    said = [item.text for item in values.get("step_results", ())]
    return EarlierRequest(
        task=values.get("task", task),
        outcome=report.status if finished and report else SUPERSEDED,
        summary=report.summary if report else "\n\n".join(said),
        steps=tuple(step.title for step in steps if step.id in done),
        planned=len(steps),
    )
