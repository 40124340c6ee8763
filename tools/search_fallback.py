"""A search for machines without ripgrep, run as a program of its own so that a slow expression can be killed.

Usage: search_fallback.py [-i] -- PATTERN, names on standard input, separated by zero bytes. Prints path, zero byte,
`number:text`. Ends with 0 when something was found, else 1. Uses the standard library only.
"""

import re
import sys
from pathlib import Path


def main() -> int:
    """Search the files that are named on standard input."""
    flags = re.IGNORECASE if "-i" in sys.argv[1:-2] else re.NOFLAG
    expression = re.compile(sys.argv[-1], flags)
    names = sys.stdin.buffer.read().decode("utf-8", "surrogateescape").split("\0")
    found = False
    for name in filter(None, names):
        path = Path(name)
        if not path.is_symlink() and path.is_file():
            found |= _search(name, path.read_bytes(), expression)
    return 0 if found else 1


def _search(name: str, data: bytes, expression: re.Pattern[str]) -> bool:
    if b"\0" in data[:8192]:
        return False
    found = False
    for number, line in enumerate(data.decode("utf-8", "replace").split("\n"), 1):
        if expression.search(line):
            found = True
            text = f"{name}\0{number}:{line}\n"
            sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    return found


if __name__ == "__main__":
    sys.exit(main())
