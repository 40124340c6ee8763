"""Joins the repair search to a thread: its worktree, interpreter, sandbox and events. The search is in `repair`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from core.events import EventSink
from tools.sandbox import Sandbox
from tools.target_python import TargetPython


class TreeRepair:
    """Implements `core.context.Repair` on a worktree, which it reads and never writes."""

    def __init__(self, root: Path, target: TargetPython, sandbox: Sandbox, events: EventSink) -> None:
        self._root = root
        self._target = target
        self._sandbox = sandbox
        self._events = events

    async def search(self, *, budget_s: float) -> BaseModel:
        """Search the worktree for a patch that makes its failing tests pass; changes nothing in it.

        Args:
            budget_s: Seconds the search may take.
        """
        from tools.repair.engine import RepairRequest, search_repair  # noqa: PLC0415

        request = RepairRequest(root=self._root, python=self._target.python, env=self._target.env, budget_s=budget_s)
        return await search_repair(request, on_event=self._tell, spawn=self._spawn)

    async def _spawn(self, argv: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Any:
        return await self._sandbox.spawn(argv, cwd, env)

    def _tell(self, event: Any) -> None:
        self._events.emit("repair", phase=event.phase, detail=event.detail)
