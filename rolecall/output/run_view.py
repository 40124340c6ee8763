"""What a person sees of a run, computed from its events alone: the current state, and one line per event worth one.

It draws nothing and reads no clock, so the same events always give the same view.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from core.events import Event
from core.text import counted, single_line
from rolecall.output.event_text import clock, event_line, seconds_text, tokens_in_out


@dataclass(slots=True)
class RunView:
    """The state of a run according to its events."""

    thread: str = ""
    started: datetime | None = None
    node: str = ""
    node_since: datetime | None = None
    serving: str = ""
    """`role → model` of the current or last call."""
    answered: str = ""
    """The same for the last answer the node received."""
    doing: str = ""
    """The tool, command or search in progress."""
    status: str = ""
    steps: list[tuple[str, str]] = field(default_factory=list)
    step: str = ""
    calls: int = 0
    calling: bool = False
    """A model call is in progress."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    """`None` until a server says how many."""
    question: str = ""
    _tools: dict[str, list[str]] = field(default_factory=dict)
    """Arguments of the calls in progress, by tool."""
    _commands: int = 0
    """Commands that have ended, or were refused, and whose tools have not yet."""
    _told: set[tuple[str, ...]] = field(default_factory=set)
    """What each call would repeat: model changes, messages received, ongoing waits."""

    def apply(self, event: Event) -> str | None:
        """Apply an event; returns its line, if it is worth one."""
        self.thread = self.thread or event.thread
        self.started = self.started or event.ts
        change = getattr(self, f"_on_{event.event}", None)
        if change is not None:
            change(event.data, event.ts)
        if self._is_known(event) or self._is_told_by_its_command(event):
            return None
        return event_line(event.event, self._in_context(event), steps=dict(self.steps))

    def _is_known(self, event: Event) -> bool:
        """Whether the same was already reported."""
        names = _SAME.get(event.event)
        if names is None or event.data.get("over") or event.data.get("seconds", 0) is None:
            return False
        told = (event.event, *(str(event.data.get(name)) for name in names))
        known = told in self._told
        self._told.add(told)
        return known

    def _is_told_by_its_command(self, event: Event) -> bool:
        """Whether a finished tool was a command whose own line has reported its end."""
        if event.event != "tool_finished" or event.data.get("tool") != "run_command" or not self._commands:
            return False
        self._commands -= 1
        self._tools.get("run_command", [""])[:1] = []
        return True

    def _in_context(self, event: Event) -> dict[str, Any]:
        """The fields of an event, with what earlier events said about the same thing."""
        if event.event == "node_finished":
            return {"serving": self.answered, **event.data}
        if event.event == "tool_finished":
            begun = self._tools.get(str(event.data.get("tool")), [])
            return {"args": begun.pop(0) if begun else "", **event.data}
        return event.data

    def elapsed(self, now: datetime) -> str:
        """Time since the first event, as minutes and seconds."""
        return clock((now - self.started).total_seconds() if self.started else 0.0)

    @property
    def progress(self) -> str:
        """`step 2/3 Title`, empty before there is a plan."""
        known = [step_id for step_id, _ in self.steps]
        if self.step not in known:
            return ""
        at = known.index(self.step)
        return f"step {at + 1}/{len(known)} {self.steps[at][1]}"

    @property
    def spent(self) -> str:
        """Calls and tokens so far."""
        if not self.calls:
            return "first call" if self.calling else "no model call yet"
        known = tokens_in_out(self.input_tokens, self.output_tokens)
        return ", ".join(part for part in (counted(self.calls, "call"), known) if part)

    def _on_run_started(self, *_: object) -> None:
        self.calling = False

    def _on_roles(self, data: dict[str, Any], _: datetime) -> None:
        if data.get("calls"):
            self.calls = int(data["calls"])
            self.input_tokens, self.output_tokens = data.get("input_tokens"), data.get("output_tokens")

    def _on_node_started(self, data: dict[str, Any], at: datetime) -> None:
        self.node, self.node_since = str(data.get("node", "")), at
        self.serving = self.answered = self.doing = ""
        if "steps" in data:
            self._on_plan(data, at)
        self.step = str(data.get("step") or self.step)

    def _on_node_finished(self, *_: object) -> None:
        self.doing = ""

    _on_tool_finished = _on_check_finished = _on_node_finished

    def _on_plan(self, data: dict[str, Any], _: datetime) -> None:
        self.steps = [(str(step.get("id", "")), str(step.get("title", ""))) for step in data.get("steps", ())]

    def _on_model_started(self, data: dict[str, Any], _: datetime) -> None:
        if data.get("node") == _BESIDE:
            return
        self.calling = True
        self.serving = f"{data.get('role', '?')} → {data.get('spec', '?')}"
        self.doing = ""
        self._told.discard(("model_waiting", str(data.get("role")), str(data.get("spec"))))

    def _on_model_finished(self, data: dict[str, Any], _: datetime) -> None:
        self.calls += 1
        if data.get("node") != _BESIDE:
            self.calling = False
            self.serving = f"{data.get('role', '?')} → {data.get('spec', '?')}"
        if data.get("outcome") == "ok" and data.get("node") == self.node:
            self.answered = self.serving
        self.input_tokens = _sum(self.input_tokens, data.get("input_tokens"))
        self.output_tokens = _sum(self.output_tokens, data.get("output_tokens"))

    def _on_model_waiting(self, data: dict[str, Any], _: datetime) -> None:
        self.doing = f"waiting for a free slot on {data.get('spec', '?')}  {seconds_text(data)}".rstrip()

    def _on_tool_started(self, data: dict[str, Any], _: datetime) -> None:
        tool, args = str(data.get("tool")), summary_of(data.get("args"))
        self._tools.setdefault(tool, []).append(args)
        self.doing = f"{tool} {args}".rstrip()

    def _on_check_started(self, data: dict[str, Any], _: datetime) -> None:
        self.doing = f"check {data.get('command', '')}"

    def _on_check_progress(self, data: dict[str, Any], _: datetime) -> None:
        number, total = data.get("number") or 0, data.get("total") or 0
        count = f" ({number} of {total})" if number and total else ""
        self.doing = f"check {data.get('command', '')}: {single_line(str(data.get('test', '')), width=80)}{count}"

    def _on_command_finished(self, *_: object) -> None:
        self._commands += 1

    _on_command_refused = _on_command_finished

    def _on_repair(self, data: dict[str, Any], _: datetime) -> None:
        self.doing = f"search: {data.get('phase', '')} {data.get('detail', '')}".rstrip()

    def _on_status(self, data: dict[str, Any], _: datetime) -> None:
        self.status = str(data.get("text", ""))

    def _on_question(self, data: dict[str, Any], _: datetime) -> None:
        self.question = str(data.get("text", ""))


_BESIDE = "supervisor"
"""The node name of calls made alongside the work that say nothing about it."""
_SAME: dict[str, tuple[str, ...]] = {
    "model_fallback": ("role", "from", "to"),
    "model_waiting": ("role", "spec"),
    "guidance": ("id",),
}
"""Fields that distinguish one such event from another."""


def _sum(known: int | None, more: int | None) -> int | None:
    return known if more is None else (known or 0) + more


def summary_of(args: object, *, width: int = 60) -> str:
    """A tool call's arguments in a few words: the first meaningful one, because it names the file or command."""
    if not isinstance(args, dict):
        return ""
    first = next((str(value) for value in args.values() if value not in (None, "", False)), "")
    return single_line(first, width=width)
