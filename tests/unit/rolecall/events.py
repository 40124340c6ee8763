"""A run as its events tell it, always the same."""

from datetime import UTC, datetime, timedelta
from typing import Any

from core.events import Event, EventName

THREAD = "1a2b3c4d-0000-4000-8000-000000000000"
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def at(seconds: float, event: EventName, /, **data: Any) -> Event:
    return Event(event=event, thread=THREAD, ts=START + timedelta(seconds=seconds), data=data)


def served(spec: str, reason: str = "first choice") -> dict[str, str]:
    return {"spec": spec, "reason": reason}


RUN = (
    at(0, "run_started", task="Make the failing\ntests pass", repo="/repo", branch="rolecall/1a2b3c4d", resumed=False),
    at(0.2, "roles", roles={
        "primary": served("primary:qwen"), "coder": served("primary:qwen"),
        "summarizer": served("embedded", "summarizer:qwen2.5: connection refused"),
    }),
    at(0.5, "routing", routing_decision="DELEGATE", target_model="CODING", confidence=0.9, reason="a change"),
    at(1, "node_started", node="plan", step=None),
    at(1, "model_started", node="plan", role="primary", spec="primary:qwen"),
    at(3, "model_finished", node="plan", role="primary", spec="primary:qwen", input_tokens=1200, output_tokens=80,
       seconds=2.0, outcome="ok"),
    at(3, "plan", steps=[{"id": "s1", "title": "Fix the rounding"}, {"id": "s2", "title": "Test it"}]),
    at(3, "node_finished", node="plan", seconds=2.01),
    at(4, "node_started", node="implement", step="s1"),
    at(4, "model_started", node="implement", role="coder", spec="primary:qwen"),
    at(6, "model_finished", node="implement", role="coder", spec="primary:qwen", input_tokens=None,
       output_tokens=None, seconds=2.0, outcome="ok"),
    at(6, "tool_started", tool="edit_file", args={"path": "src/a.py", "old": "round(x)", "new": "round(x, 2)"}),
    at(6.1, "tool_finished", tool="edit_file", seconds=0.1, ok=True),
    at(6.2, "tool_started", tool="run_command", args={"command": "false"}),
    at(6.3, "tool_finished", tool="run_command", seconds=0.1, ok=False),
    at(7, "model_fallback", role="coder", to="embedded", reason="connection refused", paid=False,
       **{"from": "primary:qwen"}),
    at(8, "guidance", id=1, kind="guidance", author="user", text="Keep the public API", node="implement"),
    at(8, "guidance", id=2, kind="pause", author="user", text="", node="implement"),
    at(9, "step_committed", step="s1", commit="abcdef0123456789", files=["src/a.py"]),
    at(9, "status", text="Rounding fixed, two tests still red"),
    at(10, "node_finished", node="implement", seconds=6.0),
    at(11, "check_finished", command="python -m pytest -q", exit_code=1, seconds=0.84),
    at(12, "intervention", rule="repeated_call", action="nudge", text="Read the other file"),
    at(12, "warning", message="the network is off"),
    at(13, "node_started", node="implement", step="s2"),
    at(13, "model_started", node="implement", role="coder", spec="embedded"),
    at(14, "tool_started", tool="repair_search", args={"budget_s": 60}),
    at(15, "repair", phase="validate", detail="312 candidates"),
)  # fmt: skip
