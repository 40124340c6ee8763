"""What a run reports while it works: one flat record per event, the same in file, on stdout and on screen."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

EventName = Literal[
    "run_started",  # task, repo, branch, resumed, sandbox: the policy that holds
    "interrupted",  # by: what ended the run before, which could not say so itself
    "roles",  # roles: {role: {spec, reason, terms}}; calls, input_tokens, output_tokens: of the thread's earlier runs
    "node_started",  # node, step; steps: [{id, title}], where the plan is another than was told
    "node_finished",  # node, seconds, ok
    "tool_started",  # tool, call: its id, args, effects: what it may do, as `core.tool_effects` names it
    "tool_finished",  # tool, call, seconds, ok
    "command_finished",  # command, exit_code, seconds, timed_out: of a model's command
    "command_refused",  # command, answer: the user said no, and what they said besides
    "model_started",  # node, role, spec
    "model_finished",  # node, role, spec, input_tokens, output_tokens, seconds, outcome
    "model_waiting",  # role, spec, seconds: waits for a free place on the endpoint; over: has got one
    "model_fallback",  # role, from, to, reason, paid, remote
    "model_warning",  # role, spec, message
    "status",  # text: the summarizer's status line
    "routing",  # routing_decision, target_model, confidence, reason
    "plan",  # steps: [{id, title}]
    "step_committed",  # step, commit, files
    "check_started",  # command
    "check_progress",  # command, test, number, total: which test runs, the how many-th, and of how many (0: not known)
    "check_finished",  # command, exit_code, seconds; reused: nothing changed since it ran, so it was not run again
    "repair",  # phase, detail: progress of a repair search
    "guidance",  # id, author, text, node: delivered
    "intervention",  # rule, action, text
    "question",  # id, text: waits for the user
    "warning",  # message; traceback: where it comes from a fault of rolecall
    "error",  # code, message, hint; traceback: likewise
    "result",  # status, exit_code, report, diff, usage
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event. Serialized flat: the fields of `data` are beside the others."""

    event: EventName
    thread: str = ""
    ts: datetime = field(default_factory=lambda: datetime.now(UTC))
    data: dict[str, Any] = field(default_factory=dict)

    def flat(self) -> dict[str, Any]:
        """The event as one JSON object, version first."""
        head = {
            "v": 1,
            "ts": self.ts.isoformat(timespec="milliseconds"),
            "thread": self.thread,
            "event": self.event,
        }
        return {**head, **{key: value for key, value in self.data.items() if key not in head}}


class EventSink(Protocol):
    """Where events go. Must not block and must not raise."""

    def emit(self, event: EventName, /, **data: Any) -> None:
        """Send one event of the thread this sink belongs to."""
