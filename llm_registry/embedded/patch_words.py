"""What the embedded engine says about its work: the patch it kept and what that does, or why there is none."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

SHOWN_PATCHES = 3
SHOWN_LINES = 5
NAMED = 5
GREEN = "The checks that run the tests are green with it; a person must decide whether it is what was intended."
_PASSED = re.compile(r"\b(\d+) passed\b")
_UNITTEST = re.compile(r"^Ran (\d+) tests? in ", re.MULTILINE)


def nothing_to_do(checks: str) -> str:
    """What to say when all checks are green, from their output."""
    counts = [int(number) for number in (*_PASSED.findall(checks), *_UNITTEST.findall(checks))]
    what = f"{sum(counts)} tests pass" if sum(counts) != 1 else "1 test passes"
    return f"Nothing to do: {what if counts else 'every check is green'}."


def closing_words(
    found: Mapping[str, Any],
    patch: Mapping[str, Any] | None = None,
    refused: Sequence[Mapping[str, Any]] = (),
    *,
    green: bool = False,
) -> str:
    """Say what was found, how certain it is and what else passes; or what was tried and where the fault may be.

    Args:
        found: The result of the search.
        patch: The one that was kept; the first when `None`.
        refused: Those that the checks rejected before it.
        green: Whether the checks that run the tests are green with it.
    """
    tried = f"{found.get('tried', 0)} candidates in {found.get('elapsed_s', 0.0):.1f} s"
    if found.get("status") == "nothing_fails":
        return "Every test passes already, so there was nothing to repair."
    if found.get("status") not in {"plausible", "partial"}:
        return f"No patch was found that passes the tests ({tried}; {found.get('stop_reason', '')}).{_places(found)}"
    words = _patch_words(found, patch or found["patches"][0], refused, tried)
    return f"{words}\n\n{GREEN}" if green else words


def refusal_words(refused: Sequence[Mapping[str, Any]], found: Mapping[str, Any]) -> str:
    """Say that the checks rejected every patch found; the files are unchanged."""
    count = "1 patch" if len(refused) == 1 else f"{len(refused)} patches"
    shown = "\n".join(f"```diff\n{patch['diff'].strip()}\n```" for patch in refused[:SHOWN_PATCHES])
    return (
        f"No patch passes the repository's own checks: {count} passed the search's tests but were rejected by the "
        f"checks, so all edits are undone. {found.get('stop_reason', '')}\n\nRejected:\n{shown}{_places(found)}"
    )


def _places(found: Mapping[str, Any]) -> str:
    places = [
        f"- {line['path']}:{line['line']} (suspicion {line['score']:.2f}): `{line['text'].strip()}`"
        for line in (found.get("suspicious") or [])[:SHOWN_LINES]
    ]
    return "\nThe fault is most likely here:\n" + "\n".join(places) if places else ""


def _patch_words(
    found: Mapping[str, Any], patch: Mapping[str, Any], refused: Sequence[Mapping[str, Any]], tried: str
) -> str:
    others = [other for other in found["patches"] if other is not patch and other not in refused]
    place = f"{patch['edits'][0]['path']}:{patch['line']}"
    parts = [
        f"A patch to {place} {patch['claim']}. It was found by search ({tried}), template {patch['template']!r}.",
        f"Confidence: {patch['confidence']}, {patch['reason']}.",
        f"```diff\n{patch['diff'].strip()}\n```",
    ]
    if patch.get("mended"):
        parts.insert(1, f"It repairs {_names(patch['mended'])}.")
    if refused:
        count = "1 patch" if len(refused) == 1 else f"{len(refused)} patches"
        parts.append(f"Before it, {count} passed the search's tests but was rejected by the checks and undone.")
    if others:
        parts.append(f"{len(others)} other patches also pass the tests:")
        parts += [f"```diff\n{other['diff'].strip()}\n```" for other in others[:SHOWN_PATCHES]]
    if found.get("disagreement"):
        parts.append(f"They differ here, so a test of it would tell them apart: {json.dumps(found['disagreement'])}")
    return "\n\n".join(parts)


def _names(tests: Sequence[str]) -> str:
    return ", ".join(tests[:NAMED]) + (f" and {len(tests) - NAMED} more" if len(tests) > NAMED else "")
