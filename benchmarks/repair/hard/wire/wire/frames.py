"""Frames: a length, a colon, and as many characters."""

import re
from collections.abc import Iterator

HEADER = re.compile(r"(?:\w+;)*\d+:")


def encode(text: str, *flags: str) -> str:
    """Return a frame.

    >>> encode("hello", "urgent")
    'urgent;5:hello'
    """
    return "".join(f"{flag};" for flag in flags) + f"{len(text)}:{text}"


def frames(data: str) -> Iterator[str]:
    """Yield the texts of the frames in a row.

    Raises:
        ValueError: there is no header where one must be, or the text ends too early.
    """
    at = 0
    while at < len(data):
        match = HEADER.match(data, at)
        if match is None:
            raise ValueError(f"no header at {at}")
        size = int(match.group().split(";")[-1].rstrip(":"))
        end = match.end() + size
        if end > len(data):
            raise ValueError(f"frame at {at} is cut off")
        yield data[match.end() : end]
        at = end
