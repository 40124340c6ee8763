"""Scripts: what the model answers to which request.

Owns lists, rules and their order, and reading them from a JSON file. A script raises when it has
nothing left to say; it never makes an answer up.
"""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.modelserver.reply import Reply, read_reply
from tests.modelserver.request import ModelRequest

Script = Callable[[ModelRequest], Reply]


class ScriptExhaustedError(Exception):
    """The script has no reply for this request."""


class InOrder:
    """Replies consumed one by one, whoever asks."""

    def __init__(self, replies: Sequence[Reply]) -> None:
        self._replies = list(replies)
        self._lock = threading.Lock()
        self.used = 0

    def __call__(self, request: ModelRequest) -> Reply:
        with self._lock:
            if self.used == len(self._replies):
                raise ScriptExhaustedError(f"all {self.used} replies are used; {describe(request)} has none left")
            self.used += 1
            return self._replies[self.used - 1]


class Always:
    """The same reply for every request."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def __call__(self, request: ModelRequest) -> Reply:
        return self._reply


@dataclass(slots=True)
class When:
    """Conditions of a rule; all that are given must hold."""

    schema: str | None = None
    role: str | None = None
    model: str | None = None
    method: str | None = None
    path: str | None = None
    stream: bool | None = None
    tool: str | None = None
    system_contains: str | None = None
    last_contains: str | None = None
    prompt_contains: str | None = None
    tool_results: int | None = None
    index: int | None = None

    def holds(self, request: ModelRequest) -> bool:
        """Say whether the request meets every condition."""
        exact = {
            "schema": request.title,
            "role": request.last.role,
            "model": request.model,
            "method": request.method.value,
            "path": request.path,
            "stream": request.stream,
            "tool_results": len(request.tool_results),
            "index": request.index,
        }
        within = {
            "tool": request.tool_names,
            "system_contains": request.system,
            "last_contains": request.last.text,
            "prompt_contains": request.prompt,
        }
        same = all(getattr(self, key) in {None, value} for key, value in exact.items())
        return same and all(
            wanted in value for key, value in within.items() if (wanted := getattr(self, key)) is not None
        )


@dataclass(slots=True)
class Rule:
    """A reply for the requests that meet `when`, at most `times` of them."""

    reply: Reply | Script
    when: When = field(default_factory=When)
    times: int | None = None


class Rules:
    """The first rule that fits and is not used up answers; then `otherwise`."""

    def __init__(self, rules: Sequence[Rule], otherwise: Script | None = None) -> None:
        self._rules = list(rules)
        self._left = [rule.times for rule in rules]
        self._otherwise = otherwise
        self._lock = threading.Lock()

    def __call__(self, request: ModelRequest) -> Reply:
        rule = self._take(request)
        if rule is None:
            if self._otherwise is None:
                raise ScriptExhaustedError(f"no rule is left for {describe(request)}")
            return self._otherwise(request)
        return rule.reply if isinstance(rule.reply, Reply) else rule.reply(request)

    def _take(self, request: ModelRequest) -> Rule | None:
        with self._lock:
            for place, rule in enumerate(self._rules):
                left = self._left[place]
                if left != 0 and rule.when.holds(request):
                    self._left[place] = None if left is None else left - 1
                    return rule
        return None


def describe(request: ModelRequest) -> str:
    """Say in one line what was asked."""
    asked = f"{request.title} by {request.method}" if request.title else "text"
    tools = f", tools {', '.join(request.tool_names)}" if request.tools else ""
    last = f"{request.last.role}: {request.last.text[:120]!r}"
    return f"request {request.index} to {request.path} for {asked}{tools}, last message {last}"


def as_script(source: Script | Reply | Sequence[Reply]) -> Script:
    """Accept what tests like to write: a callable, one reply for ever, or replies in order."""
    if isinstance(source, Reply):
        return Always(source)
    return source if callable(source) else InOrder(source)


def read_script(raw: Any, competent: Callable[[Mapping[str, Any]], Script]) -> Script:
    """Build a script from parsed JSON.

    Args:
        raw: a list of replies, a list of rules, or `{"rules": [...], "competent": {...}}`.
        competent: makes the script that answers when no rule does.

    Raises:
        ValueError: the JSON holds something this server does not know.
    """
    if isinstance(raw, list) and all("reply" not in entry for entry in raw):
        return InOrder([read_reply(entry) for entry in raw])
    if isinstance(raw, list):
        return Rules([_read_rule(entry) for entry in raw])
    if unknown := set(raw) - {"rules", "competent"}:
        raise ValueError(f"unknown keys {sorted(unknown)} in a script; use 'rules', 'competent'")
    otherwise = competent(raw["competent"]) if "competent" in raw else None
    return Rules([_read_rule(entry) for entry in raw.get("rules", [])], otherwise)


def load_script(path: Path, competent: Callable[[Mapping[str, Any]], Script]) -> Script:
    """Read a script file; see `read_script`."""
    return read_script(json.loads(path.read_text(encoding="utf-8")), competent)


def _read_rule(raw: Mapping[str, Any]) -> Rule:
    if unknown := set(raw) - {"when", "reply", "times"}:
        raise ValueError(f"unknown keys {sorted(unknown)} in a rule; use when, reply, times")
    return Rule(read_reply(raw["reply"]), When(**raw.get("when", {})), raw.get("times"))
