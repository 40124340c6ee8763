"""The embedded engine as a coder: search for patches, try each on the real checks, undo what they reject, report."""

import json
import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from core.errors import NeedsModelError
from llm_registry.embedded.patch_words import closing_words, nothing_to_do, refusal_words
from llm_registry.embedded.reading import read_checks, sections
from llm_registry.embedded.stages import ADVICE, require_repair

SEARCH, EDIT, CHECK = "repair_search", "edit_file", "run_checks"
MOST_TRIED = 4
"""Patches of one search that are tried on the real checks."""
MOST_SEARCHES = 2
_CHECK = re.compile(r"^\$ (.+)$(.*?)^\[(green|RED|timed out)\b", re.MULTILINE | re.DOTALL)
_PYTHON_TESTS = re.compile(r"\b(pytest|unittest)\b")

Step = tuple[str, dict[str, Any]]
Steps = Generator[Step, ToolMessage, str]


def next_turn(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
    """What the engine does next in a coding loop, given the results so far.

    Raises:
        NeedsModelError: The loop lacks the tools for a repair, or the brief shows no red check.
    """
    if not {SEARCH, EDIT, CHECK} <= set(tools):
        raise NeedsModelError("Reading and explaining code needs a model.", hint=ADVICE)
    results = _results(messages)
    if not results:
        data = sections(messages)
        checks = read_checks(data.get("checks", ""))
        require_repair(data, red=checks.red)
        if not checks.red:
            return AIMessage(nothing_to_do(data["checks"]))
    # The same results lead through the same steps, so that a run which was killed goes on where it stood.
    steps = _Attempt().steps()
    try:
        name, args = next(steps)
        for result in results:
            name, args = steps.send(result)
    except StopIteration as end:
        return AIMessage(str(end.value))
    return AIMessage("", tool_calls=[{"name": name, "args": args, "id": f"embedded-{len(results)}"}])


def _results(messages: Sequence[BaseMessage]) -> list[ToolMessage]:
    """Tool results since the step was given, in order."""
    steps = (at for at, one in enumerate(messages) if isinstance(one, HumanMessage) and one.name is None)
    return [message for message in messages[max(steps, default=0) :] if isinstance(message, ToolMessage)]


@dataclass(slots=True)
class _Attempt:
    """One visit of the coder."""

    refused: list[dict[str, Any]] = field(default_factory=list)

    def steps(self) -> Steps:
        """Search, try the patches one after another, and search again from the original files if all were rejected."""
        found: dict[str, Any] = {}
        for _ in range(MOST_SEARCHES):
            skip = [patch["sha256"] for patch in self.refused if patch.get("sha256")]
            found = _parsed((yield SEARCH, {"skip": skip} if skip else {}))
            patches = found.get("patches") or []
            if found.get("status") not in {"plausible", "partial"} or not patches:
                break
            for patch in patches[:MOST_TRIED]:
                stopped = yield from self._try(patch, found)
                if stopped is not None:
                    return stopped
            if not all(patch.get("sha256") for patch in self.refused):
                break
        return refusal_words(self.refused, found) if self.refused else closing_words(found)

    def _try(self, patch: Mapping[str, Any], found: dict[str, Any]) -> Generator[Step, ToolMessage, str | None]:
        """Apply a patch and run the real checks; `None` when they reject it and it is undone."""
        edits = [{key: edit[key] for key in ("path", "old", "new")} for edit in patch["edits"]]
        for at, edit in enumerate(edits):
            answer = yield EDIT, edit
            if answer.status == "error":
                yield from _undo(edits[:at])
                return f"The patch that was found could not be applied: {answer.text}"
        answer = yield CHECK, {}
        green = not _red(answer)
        if green or _as_told(read_checks(answer.text).failing, patch.get("still_failing") or ()):
            return closing_words(found, patch, self.refused, green=green)
        yield from _undo(edits)
        self.refused.append(dict(patch))
        return None


def _undo(edits: Sequence[dict[str, Any]]) -> Generator[Step, ToolMessage, None]:
    for edit in reversed(edits):
        yield EDIT, {"path": edit["path"], "old": edit["new"], "new": edit["old"]}


def _red(answer: ToolMessage) -> bool:
    """Whether the checks that run Python tests are red; if none is known to, whether any check is."""
    states = {command: state != "green" for command, _, state in _CHECK.findall(answer.text)}
    tests = [red for command, red in states.items() if _PYTHON_TESTS.search(command)]
    return any(tests or states.values())


def _as_told(failing: Sequence[str], told: Sequence[str]) -> bool:
    """Whether the checks name tests as failing, and only such as a patch was said to leave failing."""
    # A name is cut short at a blank in the parameters of a test.
    cut = tuple(name for name in failing if "[" in name and not name.endswith("]"))
    unknown = set(failing) - set(told) - set(cut)
    return bool(failing) and not unknown and all(any(one.startswith(name) for one in told) for name in cut)


def _parsed(message: ToolMessage) -> dict[str, Any]:
    if message.status == "error":
        return {"status": "none", "stop_reason": message.text}
    try:
        found = json.loads(message.text)
    except json.JSONDecodeError:
        return {"status": "none", "stop_reason": f"the search returned no readable result: {message.text[:300]}"}
    return found if isinstance(found, dict) else {"status": "none", "stop_reason": message.text[:300]}
