"""Turning the search's character spans into diffs and exact replacements.

Owns the text work on the caller's side. It writes no file.
"""

import difflib
from collections.abc import Sequence

from tools.repair.result import Edit

Span = tuple[int, int, str]


def apply_spans(text: str, spans: Sequence[Span]) -> str:
    """The text with every `(start, end, new)` replaced."""
    parts = []
    at = 0
    for start, end, new in sorted(spans):
        parts += [text[at:start], new]
        at = end
    return "".join([*parts, text[at:]])


def unified_diff(path: str, before: str, after: str) -> str:
    """A unified diff that `git apply` takes."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True),
        after.splitlines(keepends=True),
        f"a/{path}",
        f"b/{path}",
    )
    cut = "\n\\ No newline at end of file\n"
    return "".join(line if line.endswith("\n") else line + cut for line in lines)


def exact_edit(path: str, before: str, after: str) -> Edit:
    """The smallest reversible edit of whole lines, unique in `before`, that turns it into `after`.

    Its replacement is unique afterwards too, so that the edit can be reversed.
    """
    old_lines = before.splitlines(keepends=True)
    new_lines = after.splitlines(keepends=True)
    first = 0
    while first < min(len(old_lines), len(new_lines)) and old_lines[first] == new_lines[first]:
        first += 1
    tail = 0
    while tail < min(len(old_lines), len(new_lines)) - first and old_lines[-1 - tail] == new_lines[-1 - tail]:
        tail += 1
    while True:
        old = "".join(old_lines[first : len(old_lines) - tail])
        new = "".join(new_lines[first : len(new_lines) - tail])
        if (old and new and _occurs_once(before, old) and _occurs_once(after, new)) or (first == 0 and tail == 0):
            return Edit(path=path, old=old, new=new)
        first = max(0, first - 1)
        tail = max(0, tail - 1)


def _occurs_once(text: str, part: str) -> bool:
    at = text.find(part)
    return at >= 0 and text.find(part, at + 1) < 0
