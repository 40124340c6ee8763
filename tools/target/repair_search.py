"""Joins the repair search to a thread: its worktree, interpreter, sandbox and events. The search is in `repair`."""

from collections.abc import Sequence

from core.context import Checks
from core.events import EventSink
from tools.repair.engine import RepairRequest, search_repair
from tools.repair.result import RepairEvent, RepairResult
from tools.sandbox.sandbox import Sandbox
from tools.target.check_arguments import pytest_arguments
from tools.target.target_python import TargetPython


class WorktreeRepair:
    """Implements `core.context.Repair` on a worktree, which it reads and never writes."""

    def __init__(self, sandbox: Sandbox, target: TargetPython, events: EventSink, checks: Checks) -> None:
        self._sandbox = sandbox
        self._target = target
        self._events = events
        self._checks = checks

    async def search(self, *, budget_s: float, skip: Sequence[str] = ()) -> RepairResult:
        """Search the worktree for a patch that makes its failing tests pass; changes nothing in it.

        The tests are those of the repository's checks.

        Args:
            budget_s: Seconds the search may take.
            skip: The `sha256` of patches that the checks refused.
        """
        arguments = pytest_arguments(await self._checks.commands())
        request = RepairRequest(
            self._sandbox.root, self._target.python, self._target.env, arguments, budget_s, skip=tuple(skip)
        )
        async with self._sandbox.turns.exclusive():
            return await search_repair(request, on_event=self._tell, spawn=self._sandbox.spawn)

    def _tell(self, event: RepairEvent) -> None:
        detail = " ".join(f"{name} {value}" for name, value in event.fields.items())
        self._events.emit("repair", phase=event.kind, detail=detail[:200])
