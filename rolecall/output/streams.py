"""The way to the screen: everything printed for people goes through `core.text.visible`, whatever prints it.

It wraps the two standard streams once, so that no command can forget to clean what it shows. Only the live display,
which draws with its own escape sequences, and patches for programs bypass it.
"""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from core.text import visible


class SafeStream:
    """A text stream on which nothing printed can control the terminal behind it.

    Args:
        stream: Where the cleaned text goes.
    """

    def __init__(self, stream: TextIO) -> None:
        self.beneath = stream

    def __getattr__(self, name: str) -> Any:  # whatever else streams have: `flush`, `buffer`, `isatty`
        return getattr(self.beneath, name)

    def write(self, text: str) -> int:
        """Write the text with everything harmful made visible."""
        self.beneath.write(visible(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each of the lines so."""
        for line in lines:
            self.write(line)


@contextmanager
def safe_streams() -> Iterator[None]:
    """Clean what is printed while the block runs."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = safe_stream(sys.stdout), safe_stream(sys.stderr)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def safe_stream(stream: TextIO) -> TextIO:
    """The stream, cleaning what is written to it."""
    return stream if isinstance(stream, SafeStream) else cast("TextIO", SafeStream(stream))


def unfiltered(stream: TextIO) -> TextIO:
    """The stream as it is, for a display that draws with escape sequences and cleans its text itself."""
    return stream.beneath if isinstance(stream, SafeStream) else stream


def write_patch(text: str) -> None:
    """Write a patch to stdout: cleaned on a terminal, byte for byte elsewhere, because it may go into `git apply`."""
    if sys.stdout.isatty():
        safe_stream(sys.stdout).write(text)
    else:
        sys.stdout.flush()
        # A source in another encoding must still apply.
        sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    sys.stdout.flush()
