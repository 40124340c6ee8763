"""Exact replacement in a text, and a useful answer when the old text is not there. Pure."""

import difflib
import re
from dataclasses import dataclass

from core.errors import ToolError

_NUMBERED = re.compile(r"^\s*\d+\t", re.MULTILINE)
_MAX_WINDOWS = 4000


@dataclass(frozen=True, slots=True)
class Edited:
    """The text after an edit."""

    text: str
    line: int
    """First changed line, counted from 1."""
    changed: bool = True
    """False when the text already was as asked."""


def replace_once(text: str, old: str, new: str) -> Edited:
    """Replace the only occurrence of a piece of text.

    An edit that is in the text already is not made twice, so a repeated call does no harm.

    Raises:
        ToolError: The old text is empty, missing or there several times; the message shows what is there instead.
    """
    if not old:
        raise ToolError("old is empty", hint="use write_file for a new file, or give the lines to replace")
    if old == new:
        raise ToolError("old and new are the same", hint="give in new what the text shall become")
    for before, after in ((old, new), (_crlf(old), _crlf(new))):
        found = _places(text, before)
        if found and before in after and all(_is_applied(text, place, before, after) for place in found):
            return Edited(text, _line_of(text, found[0]), changed=False)
        if len(found) == 1:
            place = found[0]
            return Edited(text[:place] + after + text[place + len(before) :], _line_of(text, place))
        if found:
            raise _several(text, found)
    if new.strip() and len(_places(text, new)) == 1:
        return Edited(text, _line_of(text, text.index(new)), changed=False)
    raise _missing(text, old)


def _several(text: str, found: list[int]) -> ToolError:
    lines = ", ".join(str(_line_of(text, place)) for place in found[:10])
    return ToolError(
        f"old is there {len(found)} times, at lines {lines}",
        hint="include more of the lines around the one you mean, so that it is unique",
    )


def _missing(text: str, old: str) -> ToolError:
    bare = _NUMBERED.sub("", old)
    if bare != old and bare in text:
        return ToolError("old holds line numbers", hint="leave out the number and tab that read_file puts before lines")
    lines, wanted = text.split("\n"), old.strip("\n").split("\n")
    same = _same_but_spaces(lines, wanted)
    if same:
        place = same[0]
        return ToolError(
            f"old is there but for white space, at line {place + 1}; the file has exactly:\n"
            + "\n".join(lines[place : place + len(wanted)]),
            hint="copy these lines as they are, with their indentation",
        )
    place, ratio = _nearest(lines, wanted)
    if ratio < 0.5:
        return ToolError("old is not in the file, nor anything like it", hint="read the file again before editing")
    near = "\n".join(f"{place + n + 1:6}\t{line}" for n, line in enumerate(lines[place : place + len(wanted)]))
    return ToolError(
        f"old is not in the file; nearest are these lines ({ratio:.0%} alike):\n{near}",
        hint="copy the text from the file exactly, without the line numbers",
    )


def _same_but_spaces(lines: list[str], wanted: list[str]) -> list[int]:
    bare, sought = ["".join(line.split()) for line in lines], ["".join(line.split()) for line in wanted]
    return [n for n in range(len(bare) - len(sought) + 1) if bare[n : n + len(sought)] == sought and any(sought)]


def _nearest(lines: list[str], wanted: list[str]) -> tuple[int, float]:
    """The window of lines most like the wanted ones: its start and likeness from 0 to 1."""
    sought = "\n".join(line.strip() for line in wanted)
    best, best_ratio = 0, 0.0
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(sought)
    for start in range(min(max(1, len(lines) - len(wanted) + 1), _MAX_WINDOWS)):
        matcher.set_seq1("\n".join(line.strip() for line in lines[start : start + len(wanted)]))
        if matcher.real_quick_ratio() > best_ratio and matcher.quick_ratio() > best_ratio:
            ratio = matcher.ratio()
            if ratio > best_ratio:
                best, best_ratio = start, ratio
    return best, best_ratio


def _places(text: str, piece: str) -> list[int]:
    found, place = [], text.find(piece)
    while place >= 0:
        found.append(place)
        place = text.find(piece, place + len(piece))
    return found


def _is_applied(text: str, place: int, old: str, new: str) -> bool:
    """Whether the old text at a place stands inside the new one already."""
    start = place - new.index(old)
    return start >= 0 and text.startswith(new, start)


def _line_of(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1


def _crlf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", "\r\n")
