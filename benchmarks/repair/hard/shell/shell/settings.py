"""Settings in lines of `key = value`; a value may refer to others as `${key}`."""

import re

_REFERENCE = re.compile(r"\$\{(\w+)\}")


def read(text: str) -> dict[str, str]:
    """Read settings; a line that ends with a backslash goes on in the next."""
    lines = text.splitlines()
    found = {}
    at = 0
    while at < len(lines):
        line = lines[at].strip()
        at += 1
        if not line or line.startswith("#"):
            continue
        while line.endswith("\\") and at < len(lines):
            line = line[:-1].rstrip() + " " + lines[at].strip()
            at += 1
        key, _, value = line.partition("=")
        found[key.strip()] = value.strip()
    return found


def expand(text: str, settings: dict[str, str]) -> str:
    """Put in the settings a text refers to, again until there are none; unknown ones become empty.

    Raises:
        ValueError: settings refer to each other in a circle.
    """
    for _ in range(len(settings) + 1):
        if not _REFERENCE.search(text):
            return text
        text = _REFERENCE.sub(lambda match: settings.get(match[1], ""), text)
    raise ValueError("settings refer to each other")


def _steps(limit: int) -> list[int]:
    """Return the powers of two up to a limit."""
    found = []
    step = 1
    while step <= limit:
        found.append(step)
        step *= 2
    return found


SIZES = _steps(1024)


def nearest(size: int) -> int:
    """Return the smallest allowed size that is not below; the largest if there is none."""
    return next((step for step in SIZES if step >= size), SIZES[-1])
