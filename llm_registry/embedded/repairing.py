"""The embedded engine as a coder: search for a patch, apply it with the ordinary tools, run the checks, say how."""

import json
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from core.errors import NeedsModelError
from llm_registry.embedded.reading import read_checks, sections
from llm_registry.embedded.stages import ADVICE, require_repair

SEARCH, EDIT, CHECK = "repair_search", "edit_file", "run_checks"
SHOWN_PATCHES = 3
SHOWN_LINES = 5


def next_turn(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
    """What the engine does next in a coding loop, read off the results that are there.

    Raises:
        NeedsModelError: The loop has not the tools for a repair, or the brief shows no red check.
    """
    if not {SEARCH, EDIT, CHECK} <= set(tools):
        raise NeedsModelError("Reading and explaining code needs a model.", hint=ADVICE)
    results = _results(messages)
    if SEARCH not in results:
        data = sections(messages)
        require_repair(data, red=read_checks(data.get("checks", "")).red)
        return _call(SEARCH, {}, 0)
    found = _parsed(results[SEARCH][0])
    edits = _edits(found)
    applied = results.get(EDIT, [])
    if any(message.status == "error" for message in applied):
        return AIMessage(f"The patch that was found could not be applied: {applied[-1].text}")
    if len(applied) < len(edits):
        return _call(EDIT, edits[len(applied)], len(applied) + 1)
    if edits and CHECK not in results:
        return _call(CHECK, {}, len(edits) + 1)
    return AIMessage(closing_words(found))


def _results(messages: Sequence[BaseMessage]) -> dict[str, list[ToolMessage]]:
    """Tool results by tool, since the step was given."""
    start = max((i for i, message in enumerate(messages) if _is_step(message)), default=0)
    results: dict[str, list[ToolMessage]] = {}
    for message in messages[start:]:
        if isinstance(message, ToolMessage):
            results.setdefault(message.name or "", []).append(message)
    return results


def _is_step(message: BaseMessage) -> bool:
    return isinstance(message, HumanMessage) and message.name is None


def _call(name: str, args: dict[str, Any], number: int) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": name, "args": args, "id": f"embedded-{number}"}])


def _parsed(message: ToolMessage) -> dict[str, Any]:
    if message.status == "error":
        return {"status": "none", "stop_reason": message.text}
    try:
        found = json.loads(message.text)
    except json.JSONDecodeError:
        return {"status": "none", "stop_reason": f"the search gave no readable result: {message.text[:300]}"}
    return found if isinstance(found, dict) else {"status": "none", "stop_reason": message.text[:300]}


def _edits(found: dict[str, Any]) -> list[dict[str, Any]]:
    patches = found.get("patches") or []
    best = patches[0]["edits"] if found.get("status") == "plausible" and patches else []
    return [{key: edit[key] for key in ("path", "old", "new")} for edit in best]


def closing_words(found: dict[str, Any]) -> str:
    """Say what was found, how sure that is and what else passes; or what was tried and where the fault may be."""
    tried = f"{found.get('tried', 0)} candidates in {found.get('elapsed_s', 0.0):.1f} s"
    if found.get("status") == "nothing_fails":
        return "Every test passes already, so there was nothing to repair."
    if found.get("status") != "plausible":
        places = [
            f"- {line['path']}:{line['line']} (suspicion {line['score']:.2f}): `{line['text'].strip()}`"
            for line in (found.get("suspicious") or [])[:SHOWN_LINES]
        ]
        where = "\nThe fault is most likely here:\n" + "\n".join(places) if places else ""
        return f"No patch was found that passes the tests ({tried}; {found.get('stop_reason', '')}).{where}"
    return _patch_words(found, tried)


def _patch_words(found: dict[str, Any], tried: str) -> str:
    best, *others = found["patches"]
    place = f"{best['edits'][0]['path']}:{best['line']}"
    how = f"with the template {best['template']!r} and validated by {best['validated_by']} tests"
    parts = [
        f"A patch to {place} passes the tests. It was found by search ({tried}) {how}.",
        f"Confidence: {best['confidence']}, {best['reason']}.",
        f"```diff\n{best['diff'].strip()}\n```",
    ]
    if others:
        parts.append(f"{len(others)} other patches also pass the tests:")
        parts += [f"```diff\n{other['diff'].strip()}\n```" for other in others[:SHOWN_PATCHES]]
    if found.get("disagreement"):
        parts.append(f"They differ here: {json.dumps(found['disagreement'])}")
    parts.append("It passes the tests; a person must decide whether it is what was intended.")
    return "\n\n".join(parts)
