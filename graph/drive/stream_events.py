"""Turns the parts of a graph's stream into events: nodes and tools as they start and end."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from core.artifacts import Plan
from core.events import EventSink
from core.tool_effects import UNKNOWN, ToolEffects

HIDDEN = frozenset({"__start__", "__end__"})
ARGS_CHARS = 200


class ProgressEvents:
    """Times what is running.

    Args:
        events: Where the events go.
        effects_of: What calls of a tool may do.
    """

    def __init__(self, events: EventSink, effects_of: Callable[[str], ToolEffects] = lambda _: UNKNOWN) -> None:
        self._events, self._effects_of = events, effects_of
        self._begun: dict[str, float] = {}
        self._steps: list[dict[str, str]] = []
        """The plan as last reported."""

    def note(self, part: Mapping[str, Any]) -> None:
        """Handle one part of `astream(..., version="v2")`; parts other than `tasks` are ignored."""
        if part["type"] != "tasks":
            return
        task, outer = part["data"], not part["ns"]
        if task["name"] in HIDDEN:
            return
        if "input" in task:
            self._begin(task, outer=outer)
        else:
            self._end(task, outer=outer)

    def _begin(self, task: Mapping[str, Any], *, outer: bool) -> None:
        if outer and task["id"] in self._begun:
            return  # an urgent word gave a call of the node up; the node itself goes on
        self._begun[task["id"]] = time.monotonic()
        if outer:
            state = task["input"] if isinstance(task["input"], dict) else {}
            steps = _steps(state)
            # A run that goes on has a plan of which this run told nothing, and guidance changes plans.
            told = {"steps": steps} if steps and steps != self._steps else {}
            self._steps = steps or self._steps
            self._events.emit("node_started", node=task["name"], step=state.get("current_step"), **told)
        elif task["name"] == "tools":
            for call in _calls(task["input"]):
                args = {key: _short(value) for key, value in call.get("args", {}).items()}
                name = str(call.get("name", ""))
                effects = self._effects_of(name).names()
                self._events.emit("tool_started", tool=name, call=call.get("id"), args=args, effects=effects)

    def _end(self, task: Mapping[str, Any], *, outer: bool) -> None:
        seconds = round(time.monotonic() - self._begun.pop(task["id"], time.monotonic()), 3)
        if outer:
            if task["name"] == "plan":
                self._steps = _steps(task.get("result"))
            self._events.emit("node_finished", node=task["name"], seconds=seconds, ok=not task.get("error"))
        elif task["name"] == "tools":
            for message in _results(task.get("result")):
                ok = getattr(message, "status", "success") != "error"
                self._events.emit(
                    "tool_finished", tool=getattr(message, "name", ""), call=getattr(message, "tool_call_id", None),
                    seconds=seconds, ok=ok,
                )  # fmt: skip


def _steps(state: Any) -> list[dict[str, str]]:
    # Any: the input or result of a node; only some know the plan.
    plan: Plan | None = state.get("plan") if isinstance(state, Mapping) else None
    return [{"id": step.id, "title": step.title} for step in plan.steps] if plan else []


def _calls(value: Any) -> list[dict[str, Any]]:
    # Any: the input of a tools task is the call itself, a list of calls, or a wrapper around one.
    if isinstance(value, Mapping):
        inner = value.get("tool_call", value)
        return [dict(inner)] if "name" in inner else []
    return [call for item in value for call in _calls(item)] if isinstance(value, list) else []


def _results(value: Any) -> list[Any]:
    # Any: the update of a tools task is a dict, or a list of pairs.
    if isinstance(value, Mapping):
        return list(value.get("messages", []))
    if isinstance(value, list | tuple):
        return [item for part in value for item in (_results(part) or _results_of_pair(part))]
    return []


def _results_of_pair(part: Any) -> list[Any]:
    return list(part[1]) if isinstance(part, tuple) and len(part) == 2 and part[0] == "messages" else []


def _short(value: Any) -> Any:
    return f"{value[:ARGS_CHARS]}…" if isinstance(value, str) and len(value) > ARGS_CHARS else value
