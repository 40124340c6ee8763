"""Reasons not to apply a thread's work: its status, red checks, unfinished steps.

Reads what the thread left behind; judges no diff and changes nothing.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from core.storage.database import Database
from core.text import counted, visible_line
from core.threads import ThreadRow, ThreadStatus
from graph.store.checkpoints import open_checkpoints

_SAID = {
    ThreadStatus.NOT_DONE: "it finished without being done",
    ThreadStatus.STUCK: "it is stuck",
    ThreadStatus.NEEDS_MODEL: "it stopped because it needs a model",
    "budget": "a budget stopped it halfway",
    ThreadStatus.PAUSED: "it is paused halfway",
    ThreadStatus.INTERRUPTED: "it was interrupted halfway",
    ThreadStatus.WAITING: "it is waiting for an answer",
    ThreadStatus.RUNNING: "it is still running",
}


async def apply_warnings(row: ThreadRow, database: Database) -> tuple[str, ...]:
    """One phrase for each reason not to trust the work yet; nothing for a thread that ended well.

    Args:
        row: The thread, with its current status.
        database: Of its repository.
    """
    if row.status.succeeded:
        return ()
    async with open_checkpoints(database) as saver:
        found = await saver.aget_tuple({"configurable": {"thread_id": row.thread_id}})
    return tuple(_reasons(row.status, found.checkpoint["channel_values"] if found else {}))


def _reasons(status: ThreadStatus, state: Mapping[str, Any]) -> Iterator[str]:
    why = state.get("stop_reason", "")
    yield _SAID[status] + (f": {visible_line(why)}" if why else "")
    plan, done = state.get("plan"), state.get("steps_done", ())
    if plan is not None and (left := [step for step in plan.steps if step.id not in done]):
        yield f"{len(left)} of {counted(len(plan.steps), 'step')} {'is' if len(left) == 1 else 'are'} not done"
    qa = state.get("qa")
    if qa is None:
        yield from ["its last changes were never checked"] if state.get("step_results") else []
        return
    for run in qa.checks:
        if not run.passed:
            how = "timed out" if run.timed_out else f"red, exit {run.exit_code}"
            yield f"the check `{visible_line(run.command)}` is {how}"
    if qa.verdict is not None and not qa.verdict.accept:
        yield "its review did not accept the change"
