"""A search for machines without ripgrep, run as a separate program so that a slow expression can be killed.

Usage: search_fallback.py [-i] -- PATTERN, names on standard input, separated by null bytes. Prints path, null byte,
`number:text`. Exits with 0 when something was found, else 1. Standard library only. Opens each directory of a name
by the descriptor of its parent and follows no symlinks; reads only regular files of limited size.
"""

import os
import re
import stat
import sys

MAX_BYTES = 10_000_000
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def main() -> int:
    """Search the files that are named on standard input."""
    flags = re.IGNORECASE if "-i" in sys.argv[1:-2] else re.NOFLAG
    expression = re.compile(sys.argv[-1], flags)
    names = sys.stdin.buffer.read().decode("utf-8", "surrogateescape").split("\0")
    top = os.open(".", _FOLDER)
    found = False
    for name in filter(None, names):
        try:
            data = _content(top, name)
        except OSError:
            # Gone, unreadable or behind a symlink: nothing that is searched.
            continue
        found |= _search(name, data, expression)
    return 0 if found else 1


def _content(top: int, name: str) -> bytes:
    """The bytes of a regular file; none for anything else or if it is too large."""
    *folders, last = name.split("/")
    folder = os.dup(top)
    try:
        for part in folders:
            deeper = os.open(part, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = deeper
        if not stat.S_ISREG(os.stat(last, dir_fd=folder, follow_symlinks=False).st_mode):
            return b""
        descriptor = os.open(last, _FILE, dir_fd=folder)
    finally:
        os.close(folder)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
            return b""
        data = file.read(MAX_BYTES + 1)
    return data if len(data) <= MAX_BYTES else b""


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
