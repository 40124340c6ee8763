"""Exact replacement in a text, and a useful answer when the old text is missing. Pure."""

import re
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass

from core.errors import ToolError

_NUMBERED = re.compile(r"^\s*\d+\t", re.MULTILINE)
_MAX_CHARS = 150_000
"""Characters of a text that are searched for similar lines: some tens of milliseconds."""
_MAX_WINDOW = 400
_MAX_SHOWN = 60
_MAX_COLUMNS = 400
_MAX_PLACES = 1000
_TELLING = 8
"""Minimum characters for a line to identify a place in the text."""


@dataclass(frozen=True, slots=True)
class EditResult:
    """The text after an edit."""

    text: str
    line: int
    """First changed line, counted from 1."""
    changed: bool = True
    """False when the text already was as requested."""


def replace_once(text: str, old: str, new: str) -> EditResult:
    """Replace the only occurrence of a piece of text.

    An edit that is in the text already is not made twice, so a repeated call does no harm.

    Raises:
        ToolError: The old text is empty, missing or occurs several times; the message shows what is there instead.
    """
    if not old:
        raise ToolError("old is empty", hint="use write_file for a new file, or give the lines to replace")
    if old == new:
        raise ToolError("old and new are the same", hint="put the changed text in new")
    for before, after in ((old, new), (_crlf(old), _crlf(new))):
        count = text.count(before)
        found = _places(text, before)
        if 0 < count == len(found) and before in after and all(_is_applied(text, at, before, after) for at in found):
            return EditResult(text, _line_of(text, found[0]), changed=False)
        if count == 1:
            place = found[0]
            return EditResult(text[:place] + after + text[place + len(before) :], _line_of(text, place))
        if count:
            lines = ", ".join(str(_line_of(text, place)) for place in found[:10])
            raise ToolError(
                f"old occurs {count} times, at lines {lines}",
                hint="include more surrounding lines so that it is unique",
            )
    if new.strip() and text.count(new) == 1:
        return EditResult(text, _line_of(text, text.index(new)), changed=False)
    raise _missing(text, old)


def _missing(text: str, old: str) -> ToolError:
    bare = _NUMBERED.sub("", old)
    if bare != old and bare in text:
        return ToolError(
            "old contains line numbers", hint="leave out the number and tab that read_file puts before lines"
        )
    lines, wanted = text.split("\n"), old.strip("\n").split("\n")
    same = _same_but_spaces(lines, wanted)
    if same is not None:
        return ToolError(
            f"old matches except for whitespace, at line {same + 1}; the file has exactly:\n"
            + "\n".join(_short(lines[same : same + len(wanted)])),
            hint="copy these lines exactly, including indentation",
        )
    place, ratio = _nearest(lines, wanted)
    if ratio < 0.5:
        return ToolError("neither old nor anything similar is in the file", hint="read the file again before editing")
    near = "\n".join(
        _short([f"{place + n + 1:6}\t{line}" for n, line in enumerate(lines[place : place + len(wanted)])])
    )
    return ToolError(
        f"old is not in the file; the closest lines are ({ratio:.0%} similar):\n{near}",
        hint="copy the text from the file exactly, without the line numbers",
    )


def _short(lines: list[str]) -> list[str]:
    """As many lines as a message may have."""
    shown = [line[:_MAX_COLUMNS] for line in lines[:_MAX_SHOWN]]
    return shown if len(lines) <= _MAX_SHOWN else [*shown, f"… and {len(lines) - _MAX_SHOWN} more lines"]


def _same_but_spaces(lines: list[str], wanted: list[str]) -> int | None:
    """Where the wanted lines are, ignoring whitespace."""
    sought = "\n".join("".join(line.split()) for line in wanted)
    if not sought.strip():
        return None
    bare = "\n".join("".join(line.split()) for line in lines)
    place = f"\n{bare}\n".find(f"\n{sought}\n")
    return None if place < 0 else bare.count("\n", 0, place)


def _nearest(lines: list[str], wanted: list[str]) -> tuple[int, float]:
    """The window of lines most similar to the wanted ones: its start and similarity from 0 to 1.

    Similarity is the share of common trigrams. It is updated while the window moves, so the
    work grows with the length of the text, not that of the window.
    """
    wanted = wanted[:_MAX_WINDOW]
    first, last = _examined(lines, wanted)
    window = _Window(pieces for line in wanted for pieces in _pieces(line))
    best, best_ratio = first, 0.0
    for end in range(first, last):
        window.add(_pieces(lines[end]))
        start = end - len(wanted) + 1
        if start > first:
            window.drop()
        if start >= first or end == last - 1:
            ratio = window.likeness()
            if ratio > best_ratio:
                best, best_ratio = max(start, first), ratio
    return best, best_ratio


def _examined(lines: list[str], wanted: list[str]) -> tuple[int, int]:
    """The lines to search: all of them, or in a long text those around an exact match of one line."""
    first = 0
    if sum(map(len, lines)) + len(lines) > _MAX_CHARS:
        sought = {line.strip(): number for number, line in enumerate(wanted) if len(line.strip()) >= _TELLING}
        telling = ((number, line.strip()) for number, line in enumerate(lines))
        first = next((max(0, number - sought[line] - len(wanted)) for number, line in telling if line in sought), 0)
    last, chars = first, 0
    while last < len(lines) and chars <= _MAX_CHARS:
        chars += len(lines[last]) + 1
        last += 1
    return first, last


def _pieces(line: str) -> list[str]:
    bare = line.strip()[:_MAX_COLUMNS]
    return [bare[n : n + 3] for n in range(max(len(bare) - 2, min(len(bare), 1)))]


class _Window:
    """The pieces in a window of lines, and how many of them are wanted."""

    def __init__(self, wanted: Iterable[str]) -> None:
        self._wanted = Counter(wanted)
        self._held = dict.fromkeys(self._wanted, 0)
        self._total = self._wanted.total()
        self._lines: deque[tuple[int, list[str]]] = deque()
        self._size = 0
        self._common = 0

    def add(self, pieces: list[str]) -> None:
        """Add the next line."""
        known = [piece for piece in pieces if piece in self._held]
        self._lines.append((len(pieces), known))
        self._size += len(pieces)
        for piece in known:
            self._common += self._held[piece] < self._wanted[piece]
            self._held[piece] += 1

    def drop(self) -> None:
        """Drop the first line."""
        size, known = self._lines.popleft()
        self._size -= size
        for piece in known:
            self._held[piece] -= 1
            self._common -= self._held[piece] < self._wanted[piece]

    def likeness(self) -> float:
        return 2 * self._common / max(1, self._size + self._total)


def _places(text: str, piece: str) -> list[int]:
    """Where a piece occurs; only the first places when there are very many."""
    found: list[int] = []
    place = text.find(piece)
    while place >= 0 and len(found) < _MAX_PLACES:
        found.append(place)
        place = text.find(piece, place + len(piece))
    return found


def _is_applied(text: str, place: int, old: str, new: str) -> bool:
    """Whether the old text at a place is already part of the new text."""
    start = place - new.index(old)
    return start >= 0 and text.startswith(new, start)


def _line_of(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1


def _crlf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", "\r\n")
