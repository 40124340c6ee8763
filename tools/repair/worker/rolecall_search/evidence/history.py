"""What stood before where a file has changed: candidates that undo a change.

Owns the comparison with earlier texts. What they are is asked of git by whoever starts the search.
"""

from __future__ import annotations

import difflib
from typing import Iterator

from rolecall_search.program.source import Edit, SourceFile

MOST_LINES = 30


def undone(source: SourceFile, texts: tuple[str, ...]) -> Iterator[tuple[Edit, range, int]]:
    """The edits that undo a change since one of the texts, the lines they touch, and the place of the text.

    Args:
        source: The file of today.
        texts: Earlier ones, the newest first.
    """
    now = _lines(source.text)
    starts = [0]
    for line in now:
        starts.append(starts[-1] + len(line))
    seen = set()
    for age, text in enumerate(texts):
        before = _lines(text)
        matcher = difflib.SequenceMatcher(None, now, before, autojunk=False)
        for tag, first, last, low, high in matcher.get_opcodes() if text != source.text else ():
            if tag == "equal" or max(last - first, high - low) > MOST_LINES:
                continue
            edit = _edit(starts[first], starts[last], "".join(before[low:high]))
            if edit not in seen:
                seen.add(edit)
                # Where lines are missing, those around count.
                yield edit, range(max(1, first), first + 2) if first == last else range(first + 1, last + 1), age


def _lines(text: str) -> list[str]:
    return [f"{line}\n" for line in text.split("\n")]


def _edit(start: int, end: int, text: str) -> Edit:
    """Whole lines, moved so that they begin with a line end: the last line of a function is then within it."""
    if start == 0:
        return Edit(start, end, text)
    return Edit(start - 1, end - 1, "\n" + text[:-1] if text else "")
