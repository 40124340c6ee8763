"""What a check command tells about which tests to run, as arguments for pytest. Pure."""

import re
import shlex
from collections.abc import Sequence
from itertools import pairwise

_ASSIGNMENT = re.compile(r"^\w+=")
_REPORTING = re.compile(r"^(-q+|-v+|-x|-s|-r\w+|--exitfirst|--quiet|--verbose|--tb=\S+|--maxfail=\d+|--durations=\d+)$")
"""The search itself decides how to report and when to stop."""


def pytest_arguments(commands: Sequence[str]) -> tuple[str, ...]:
    """Paths and options of the first check that runs Python tests; empty when pytest shall find them itself.

    Args:
        commands: Check commands as a person types them.
    """
    for command in commands:
        words = _words(command)
        if words[:1] == ["pytest"]:
            return tuple(word for word in words[1:] if not _REPORTING.match(word))
        if words[:1] == ["unittest"]:
            return _of_unittest(words[1:])
    return ()


def _words(command: str) -> list[str]:
    """The command from the name of its test program on; empty when it is another program or more than one."""
    try:
        words = shlex.split(command)
    except ValueError:
        return []
    while words and _ASSIGNMENT.match(words[0]):
        words = words[1:]
    if {"&&", "||", ";", "|"} & set(words) or any(word.endswith(";") for word in words):
        return []
    if len(words) > 2 and "python" in words[0].rpartition("/")[2] and words[1] == "-m":
        return words[2:]
    return [words[0].rpartition("/")[2], *words[1:]] if words else []


def _of_unittest(words: list[str]) -> tuple[str, ...]:
    values = dict(pairwise(words))
    folder = values.get("-s") or values.get("--start-directory") or ""
    pattern = values.get("-p") or values.get("--pattern") or "test*.py"
    return (*([folder] if folder else []), "-o", f"python_files={pattern}")
