"""Text files as they are on disk: encoding, byte order mark and line endings survive a change. How a file is opened is
decided in `path_guard`."""

import re
from dataclasses import dataclass, replace

from core.errors import ToolError
from tools.files.path_guard import GuardedPath

MAX_BYTES = 10_000_000
_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))


@dataclass(frozen=True, slots=True)
class TextFile:
    """The text of a file with what is needed to write it back. Uniform CRLF line endings are shown as LF."""

    text: str
    encoding: str = "utf-8"
    bom: bytes = b""
    crlf: bool = False

    def with_text(self, text: str) -> "TextFile":
        """The same file with another text."""
        return replace(self, text=text)

    def data(self) -> bytes:
        """The bytes on disk.

        Raises:
            ToolError: The text contains a character that the file's encoding lacks.
        """
        text = self.text.replace("\r\n", "\n").replace("\n", "\r\n") if self.crlf else self.text
        try:
            return self.bom + text.encode(self.encoding)
        except UnicodeEncodeError as error:
            raise ToolError(
                f"the file is in {self.encoding}, which has no {text[error.start]!r}",
                hint="use characters of that encoding, or an escape such as \\u2026 where the language has them",
            ) from error


def read_text(place: GuardedPath) -> TextFile:
    """Read a text file.

    Raises:
        ToolError: It is missing, a directory, not a regular file, binary, or over 10 MB.
    """
    return decode(place.read(MAX_BYTES), place.shown)


def decode(data: bytes, shown: str) -> TextFile:
    """Turn bytes into text without loss.

    Raises:
        ToolError: The bytes are not text.
    """
    bom, marked = next(((bom, name) for bom, name in _BOMS if data.startswith(bom)), (b"", ""))
    if not marked and b"\0" in data[:8192]:
        raise ToolError(f"{shown} is a binary file", hint="only text files can be read and changed")
    body = data[len(bom) :]
    for encoding in (marked,) if marked else ("utf-8", *_declared(data), "latin-1"):
        text = _lossless(body, encoding)
        if text is not None:
            # Line ends that are doubled would not survive being shown as one.
            crlf = 0 < text.count("\n") == text.count("\r\n") and "\r\r\n" not in text
            return TextFile(text.replace("\r\n", "\n") if crlf else text, encoding, bom, crlf)
    raise ToolError(f"{shown} is not valid {marked}", hint="it may be damaged or binary")


def _lossless(body: bytes, encoding: str) -> str | None:
    try:
        text = body.decode(encoding)
        return text if text.encode(encoding) == body else None
    except (UnicodeError, LookupError):
        return None


def _declared(data: bytes) -> tuple[str, ...]:
    """The encoding a Python source declares in its first two lines."""
    for line in data.split(b"\n", 2)[:2]:
        found = _COOKIE.match(line)
        if found:
            return (found.group(1).decode("ascii", "replace"),)
    return ()
