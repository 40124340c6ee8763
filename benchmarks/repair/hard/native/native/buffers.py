"""Bytes handed to the C library."""

import ctypes
from collections.abc import Iterable
from itertools import chain

_LIBC = ctypes.CDLL(None)
_LIBC.strlen.restype = ctypes.c_size_t
_LIBC.strlen.argtypes = [ctypes.c_void_p]


def length(text: str | None) -> int:
    """Length of a text in bytes as C counts it; 0 for None.

    >>> length("héllo")
    6
    """
    if text is None:
        return 0
    return int(_LIBC.strlen(ctypes.create_string_buffer(text.encode())))


def filled(size: int, value: int = 0, limit: int = 4096) -> bytearray:
    """Return a buffer of `size` bytes, or of `limit` where that is less."""
    buffer = bytearray(min(size, limit))
    for at in range(len(buffer)):
        buffer[at] = value
    return buffer


def grow(items: list[int], least: int) -> list[int]:
    """Repeat items until there are at least so many; an empty list stays empty."""
    grown = list(items)
    while items and len(grown) < least:
        grown += items
    return grown


def joined(parts: Iterable[Iterable[int]]) -> list[int]:
    """Join parts; as soon as a part holds a zero, what came before is dropped."""
    found: Iterable[int] = []
    for part in parts:
        values = list(part)
        found = values if 0 in values else list(chain(found, values))
    return list(found)
