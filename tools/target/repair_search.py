"""Joins the repair search to a thread: its worktree, interpreter, sandbox and events, and the tests that its checks
name. The search itself is in `repair`."""

import re
import shlex
from collections.abc import Sequence
from itertools import pairwise

from core.context import Checks
from core.events import EventSink
from tools.repair.engine import RepairRequest, search_repair
from tools.repair.result import RepairEvent, RepairResult
from tools.sandbox.sandbox import Sandbox
from tools.target.target_python import TargetPython

_ASSIGNMENT = re.compile(r"^\w+=")
_REPORTING = re.compile(r"^(-q+|-v+|-x|-s|-r\w+|--exitfirst|--quiet|--verbose|--tb=\S+|--maxfail=\d+|--durations=\d+)$")
"""The search itself decides how to report and when to stop."""


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
            budget_s: Maximum seconds for the search.
            skip: The `sha256` of patches that the checks rejected.
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


def pytest_arguments(commands: Sequence[str]) -> tuple[str, ...]:
    """Paths and options of the first check that runs Python tests; empty when pytest should find them itself.

    Args:
        commands: Check commands as a person types them.
    """
    for command in commands:
        words = _words(command)
        if words[:1] == ["pytest"]:
            return tuple(word for word in words[1:] if not _REPORTING.match(word))
        if words[:1] == ["unittest"]:
            return _of_unittest(words[1:])
    return ()


def _words(command: str) -> list[str]:
    """The command from its test program onwards; empty when it is another program or more than one."""
    try:
        words = shlex.split(command)
    except ValueError:
        return []
    while words and _ASSIGNMENT.match(words[0]):
        words = words[1:]
    if {"&&", "||", ";", "|"} & set(words) or any(word.endswith(";") for word in words):
        return []
    if len(words) > 2 and "python" in words[0].rpartition("/")[2] and words[1] == "-m":
        return words[2:]
    return [words[0].rpartition("/")[2], *words[1:]] if words else []


def _of_unittest(words: list[str]) -> tuple[str, ...]:
    values = dict(pairwise(words))
    folder = values.get("-s") or values.get("--start-directory") or ""
    pattern = values.get("-p") or values.get("--pattern") or "test*.py"
    return (*([folder] if folder else []), "-o", f"python_files={pattern}")
