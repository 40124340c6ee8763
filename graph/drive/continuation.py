"""The state a thread begins a new request with: what came before is kept as history, the work on it is put away."""

from collections.abc import Mapping, Sequence
from typing import Any

from langgraph.types import Overwrite

from core.artifacts import EarlierRequest
from core.context import InboxItem

SUPERSEDED = "superseded"
_GONE = ("answer", "scope", "plan", "current_step", "baseline", "qa", "assessment", "report")
_EMPTY = ("steps_done", "step_results", "summaries")


def continued(values: Mapping[str, Any], requests: Sequence[InboxItem], *, task: str, finished: bool) -> dict[str, Any]:
    """The input that begins the last of the requests; a run killed right after it goes on from there.

    Args:
        values: The state of the thread, empty where it has none yet.
        requests: Rows of the inbox that nobody has begun to work on, oldest first; at least one.
        task: What the thread was begun for.
        finished: The request before came to its end.
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
