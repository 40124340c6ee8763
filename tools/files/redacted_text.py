"""What a model sees of a file: lines numbered as on disk, secrets hidden. Pure text.

What it writes back is restored here too: where a model repeats a placeholder, the secret stays.
"""

from core.errors import ToolError
from core.redaction import PLACEHOLDER, Redactor

_MAX_LINE = 2000


def numbered_lines(text: str, redactor: Redactor) -> list[tuple[int, str]]:
    """The lines of a text without its secrets; a multi-line secret is one line, and the numbers continue after it."""
    lines = redactor.clean(text).splitlines()
    if len(lines) == len(text.splitlines()):
        return list(enumerate(lines, 1))
    numbered, number = [], 1
    for line in lines:
        numbered.append((number, line))
        number += max(1, len(redactor.restore(line, text).splitlines())) if PLACEHOLDER.search(line) else 1
    return numbered


def text_page(text: str, redactor: Redactor, start: int, end: int | None, max_bytes: int) -> str:
    """A piece of a text with line numbers.

    Args:
        text: The whole text.
        redactor: Hides its secrets.
        start: First line, counted from 1.
        end: Last line; as far as fits when `None`.
        max_bytes: What fits; one line is always returned.

    Raises:
        ToolError: The text ends before `start`.
    """
    numbered = numbered_lines(text, redactor)
    if not numbered:
        return "(the file is empty)"
    total = len(text.splitlines())
    first, last = max(1, start), total if end is None else min(end, total)
    if first > total:
        raise ToolError(f"the file has {total} lines, so it ends before line {start}", hint="use a lower start")
    taken: list[str] = []
    size, following = 0, first
    for number, line in numbered:
        if not first <= number <= last:
            continue
        shortened = line if len(line) <= _MAX_LINE else f"{line[:_MAX_LINE]}… ({len(line)} characters)"
        size += len(shortened.encode("utf-8", "replace")) + 8
        if taken and size > max_bytes:
            following = number
            break
        taken.append(f"{number:6}\t{shortened}")
        following = last + 1
    more = f"\n… lines {first}-{following - 1} of {total}; continue with start={following}" if following <= last else ""
    return "\n".join(taken) + more or "(these lines are inside a secret)"


def restore_secrets(given: str, source: str, redactor: Redactor) -> str:
    """What a model wrote, with the file's secrets in place of their placeholders.

    Args:
        given: Text of the model.
        source: The file as it is on disk.
        redactor: Hid the secrets when the model read the file.

    Raises:
        ToolError: It contains a placeholder for no secret in this file; written as is, the secret would be lost.
    """
    restored = redactor.restore(given, source)
    lost = [found.group() for found in PLACEHOLDER.finditer(restored) if found.group() not in source]
    if lost:
        raise ToolError(
            f"{lost[0]} is a placeholder for a secret that is not in this file, so it cannot be written here",
            hint="read the file and leave the placeholders where they are; refer to a secret by a variable instead",
        )
    return restored
