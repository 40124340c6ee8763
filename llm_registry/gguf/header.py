"""Reads from the head of a GGUF file how many tokens its model supports. Loads nothing and checks nothing else."""

import struct
from pathlib import Path
from typing import BinaryIO

_FIXED = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_MOST_KEYS = 1000
_LONGEST = 1 << 20
"""Bytes of one name or text; more means that the file is damaged."""


def trained_context(path: Path) -> int | None:
    """Tokens the model of a file was trained for; `None` when the file does not say, or cannot be read as GGUF."""
    try:
        with path.open("rb") as file:
            return _search(file)
    except (OSError, struct.error, UnicodeDecodeError, _DamagedError):
        return None


class _DamagedError(Exception):
    """The bytes are invalid."""


def _search(file: BinaryIO) -> int | None:
    if file.read(4) != b"GGUF":
        return None
    version, _, count = _unpack(file, "<IQQ")
    if version < 2:
        return None
    for _ in range(min(count, _MOST_KEYS)):
        key = _text(file)
        if key.startswith("tokenizer."):
            # The vocabulary follows, which is long; what is asked for stands before it.
            return None
        value = _value(file, *_unpack(file, "<I"))
        if key.endswith(".context_length"):
            return value if isinstance(value, int) and value > 0 else None
    return None


def _value(file: BinaryIO, kind: int) -> object:
    if kind in _FIXED:
        return _unpack(file, f"<{_FIXED[kind]}")[0]
    if kind == _STRING:
        return _text(file)
    if kind != _ARRAY:
        raise _DamagedError
    inner, count = _unpack(file, "<IQ")
    if inner in _FIXED:
        file.seek(struct.calcsize(_FIXED[inner]) * count, 1)
        return None
    if inner == _ARRAY:
        raise _DamagedError
    for _ in range(min(count, _LONGEST)):
        _value(file, inner)
    return None


def _text(file: BinaryIO) -> str:
    (length,) = _unpack(file, "<Q")
    if length > _LONGEST:
        raise _DamagedError
    return file.read(length).decode()


def _unpack(file: BinaryIO, form: str) -> tuple[int, ...]:
    return struct.unpack(form, file.read(struct.calcsize(form)))
