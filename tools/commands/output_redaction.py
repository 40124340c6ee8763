"""Copies a command's output piece by piece, without its secrets. Decides where a long text may be cut so that
no secret is split."""

from typing import IO

from core.redaction import Redactor

_PIECE = 1 << 20
_OVERLAP = 64 * 1024
"""Characters kept back for the next piece: longer than any key, and than most private keys in text."""
_BEGIN, _END = "-----BEGIN", "-----END"


def redact_stream(source: IO[bytes], target: IO[bytes], redactor: Redactor, *, most: int) -> None:
    """Copy text from one file to another with its secrets replaced; blocking.

    Args:
        source: Read from its current position.
        target: Written; bytes that are not text stay as they are.
        redactor: Knows the secrets.
        most: Bytes after which the rest is left out.
    """
    waiting, left = "", most
    while True:
        data = source.read(min(_PIECE, left))
        left -= len(data)
        # Latin letters of one byte each: a cut through a wider one does no harm, and keys are plain ASCII.
        waiting += data.decode("latin-1")
        cut = len(waiting) if not data else _cut(waiting)
        if cut:
            target.write(_cleaned(waiting[:cut], redactor))
            waiting = waiting[cut:]
        if not data:
            return


def _cleaned(text: str, redactor: Redactor) -> bytes:
    data = text.encode("latin-1")
    whole = data.decode("utf-8", "surrogateescape")
    return redactor.clean(whole).encode("utf-8", "surrogateescape")


def _cut(text: str) -> int:
    """How far a text can be cleaned before more of it is known."""
    most = len(text) - _OVERLAP
    if most <= 0:
        return 0
    cut = text.rfind("\n", 0, most) + 1 or most
    begun = text.rfind(_BEGIN, 0, cut)
    if begun > max(text.rfind(_END, 0, cut), cut - _OVERLAP):
        return begun
    return cut
