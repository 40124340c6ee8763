"""Text for people, made from untrusted input that may not be UTF-8 (file names, diffs, model output).

`visible` is the one function through which foreign text goes to a terminal. It owns characters, not layout.
"""

import re

_PLAIN = {*"\n\t\u00a0\u1680\u202f\u205f\u3000", *map(chr, range(0x2000, 0x200B))}
"""Line feeds, tabs, and spaces of other widths: not printable, but they neither move anything nor hide it."""
CHARS_PER_TOKEN = 3
"""Of prose and code, rather few than many: no tokenizer of the models is at hand."""
_INVISIBLE = re.compile(
    # Letters and marks that fonts draw as nothing, though Unicode counts them as printable; selectors of emoji stay.
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\U000e0100-\U000e01ef]"
)


def readable(text: str) -> str:
    """Join split surrogate pairs and replace lone surrogates, which no file, log or server accepts.

    Args:
        text: As git and the command line give it, with stand-ins for undecodable bytes, or as a model wrote it, with
            lone surrogates.
    """
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def visible(text: str) -> str:
    r"""Show what would control a terminal or deceive its reader as escapes; line feeds and tabs stay.

    Covers control characters of both sets (so no escape sequence, cursor movement, overwriting by carriage return or
    backspace survives), bidirectional overrides, zero-width and other format characters, line separators, surrogates.

    Args:
        text: Anything foreign: an ESC in it is shown as the four characters `\x1b`.
    """
    if text.isascii() and text.isprintable():
        return text
    return _INVISIBLE.sub(lambda found: _escaped(found[0]), "".join(map(_shown, text)))


def one_line(text: str, width: int) -> str:
    """Fold a text into one line of at most `width` characters."""
    folded = " ".join(text.split())
    return folded if len(folded) <= width else f"{folded[: width - 1]}…"


def visible_line(text: str) -> str:
    """Like `visible` on a single line: line ends, tabs and runs of spaces become one space."""
    return visible(" ".join(text.split()))


def single_line(text: object, *, width: int = 160) -> str:
    """A text on one line, cut at `width` characters, without terminal control characters."""
    return one_line(visible_line(str(text)), width)


def safe_json(text: str) -> str:
    r"""Escape in a JSON document what `visible` escapes, as `\uXXXX`, which means the same to any parser.

    Args:
        text: JSON as `json.dumps(…, ensure_ascii=False)` writes it, indented or not.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(letter if letter in "\n\t" or visible(letter) == letter else _utf16(letter) for letter in text)


def counted(number: int, what: str) -> str:
    """A number with its noun, in the plural if needed."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def _shown(letter: str) -> str:
    return letter if letter.isprintable() or letter in _PLAIN else _escaped(letter)


def _escaped(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00  # stands for a byte that is no UTF-8
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _utf16(letter: str) -> str:
    units = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
