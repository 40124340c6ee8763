"""One line per event, for people: what is shown while a run works, what `log` prints, what a plain log contains."""

from collections.abc import Callable, Mapping
from typing import Any

from core.text import counted, single_line, visible

EMBEDDED = "embedded"

WAIT_WORTH_A_LINE_S = 1.0
"""A shorter wait for a server slot is not shown."""

Data = Mapping[str, Any]


def event_line(event: str, data: Data, *, steps: Mapping[str, str]) -> str | None:
    """The line of an event; `None` for those that only move the display.

    Args:
        event: Name of the event.
        data: Its fields.
        steps: Titles of the plan's steps by their ids.
    """
    if event == "node_started":
        title = steps.get(str(data.get("step") or ""), "")
        return f"{data.get('node', '?'):<10} {title}" if title and data.get("node") == "implement" else None
    make = _LINES.get(event)
    return make(data) if make else None


def clock(seconds: float) -> str:
    """Minutes and seconds, plus hours if any."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def seconds_text(data: Data) -> str:
    """A duration in seconds, one digit after the point; empty when unknown."""
    seconds = data.get("seconds")
    return f"{float(seconds):.1f} s" if seconds is not None else ""


def token_count(count: int) -> str:
    """A count of tokens in at most five characters."""
    if count < 1000:
        return str(count)
    return f"{count / 1000:.1f}k" if count < 1_000_000 else f"{count / 1_000_000:.1f}M"


def tokens_in_out(read: int | None, written: int | None) -> str:
    """Tokens in and out, as far as they are known."""
    known = [(token_count(count), way) for count, way in ((read, "in"), (written, "out")) if count is not None]
    return ", ".join(f"{count}{' tokens' if at == 0 else ''} {way}" for at, (count, way) in enumerate(known))


def without_control_characters(text: str) -> str:
    """A text with all terminal control characters made visible; line endings stay."""
    return visible(text.expandtabs(4))


def hanging_indent(text: str) -> str:
    """A text whose later lines are indented, so that none of them looks like one of our own lines."""
    return "\n  ".join(without_control_characters(text).splitlines())


def _joined(label: str, *parts: object) -> str:
    return f"{label:<10} " + "  ".join(single_line(part) for part in parts if part not in (None, ""))


def _run_started(data: Data) -> str:
    verb = "resumed" if data.get("resumed") else "started"
    started = _joined(verb, data.get("task"), f"on {data.get('branch', '?')}")
    # What is cut off are limits; whether there are walls stands before them.
    policy = str(data.get("sandbox") or "").partition("; per command at most ")[0]
    return f"{started}\n{'sandbox':<10} {single_line(policy, width=400)}" if policy else started


def _named(spec: str) -> str:
    if spec == EMBEDDED:
        return "the embedded engine (no LLM; only repairs failing Python tests)"
    return spec or "nobody"


def _roles(data: Data) -> str:
    serving: dict[tuple[str, str, str], list[str]] = {}
    for role, served in dict(data.get("roles", {})).items():
        reason = str(served.get("reason", ""))
        shown = "" if reason == "first choice" else reason
        key = (str(served.get("spec", "?")), str(served.get("terms", "")), shown)
        serving.setdefault(key, []).append(role)
    said = [
        f"{_named(spec)} serves {', '.join(roles)}{''.join(f' ({single_line(it)})' for it in (terms, why) if it)}"
        for (spec, terms, why), roles in serving.items()
    ]
    return "\n".join(f"{'roles':<10} {text}" for text in said) or _joined("roles", "no model serves any role")


def _ended(label: str, what: object, data: Data) -> str:
    return _joined(label, what, "" if data.get("ok", True) else "failed", seconds_text(data))


def _command_finished(data: Data) -> str:
    end = "timed out" if data.get("timed_out") else f"exit {data.get('exit_code')}"
    return _joined("  command", data.get("command"), end, seconds_text(data))


def _check_finished(data: Data) -> str:
    code = data.get("exit_code")
    lasting = "unchanged since it ran" if data.get("reused") else seconds_text(data)
    return _joined("  check", data.get("command"), "green" if code == 0 else f"red (exit {code})", lasting)


def _fallback(data: Data) -> str:
    terms = [word for word, is_so in (("paid", data.get("paid")), ("on the internet", data.get("remote"))) if is_so]
    change = f"{data.get('role')}: {data.get('from')} → {data.get('to')}"
    return _joined("  model", change, data.get("reason"), ", ".join(terms))


def _waiting(data: Data) -> str | None:
    seconds = data.get("seconds")
    if seconds is None or (data.get("over") and seconds < WAIT_WORTH_A_LINE_S):
        return None
    waits = "had to wait for" if data.get("over") else "waits for"
    return _joined("  model", f"{data.get('role')} {waits} a free slot on {data.get('spec')}", seconds_text(data))


def _guidance(data: Data) -> str | None:
    if not data.get("text"):
        return None  # an order such as a pause; what comes of it is told by itself
    return _joined("  heard", f"{data.get('author', '?')}: {data.get('text', '')}", f"(at {data.get('node', '?')})")


def _plan(data: Data) -> str:
    titles = [f"{at}. {step.get('title', '')}" for at, step in enumerate(data.get("steps", ()), 1)]
    return "\n".join([_joined("  plan", counted(len(titles), "step")),
                      *(f"{'':<10} {single_line(title)}" for title in titles)])  # fmt: skip


def _routing(data: Data) -> str:
    return _joined("  routing", f"{data.get('routing_decision')} to {data.get('target_model')}:", data.get("reason"))


_LINES: dict[str, Callable[[Data], str | None]] = {
    "run_started": _run_started,
    "roles": _roles,
    "node_finished": lambda data: _ended(str(data.get("node", "?")), data.get("serving"), data),
    "tool_finished": lambda data: _ended("  tool", f"{data.get('tool')} {data.get('args', '')}", data),
    "command_finished": _command_finished,
    "command_refused": lambda data: _joined("  command", data.get("command"), "refused", data.get("answer")),
    "interrupted": lambda data: _joined("stopped", data.get("by")),
    "model_fallback": _fallback,
    "model_waiting": _waiting,
    "model_warning": lambda data: _joined("  model", data.get("spec"), data.get("message")),
    "status": lambda data: _joined("  status", data.get("text")),
    "plan": _plan,
    "routing": _routing,
    "step_committed": lambda data: _joined(
        "  commit", str(data.get("commit", ""))[:8], ", ".join(data.get("files") or ())
    ),
    "check_finished": _check_finished,
    "guidance": _guidance,
    "intervention": lambda data: _joined("  watcher", data.get("rule"), data.get("action"), data.get("text")),
    # Whole: the end of a command that was cut off would be approved unseen.
    "question": lambda data: f"{'question':<10} {without_control_characters(str(data.get('text', '')))}",
    "warning": lambda data: _joined("warning", data.get("message")),
    "error": lambda data: _joined("error", f"[{data.get('code')}]", data.get("message"), data.get("hint")),
    "result": lambda data: _joined(str(data.get("status", "?")), f"exit {data.get('exit_code')}", data.get("message")),
}
