"""Splits a query into tokens."""

import re
from collections.abc import Iterator
from typing import NamedTuple

KEYWORDS = {"and", "or", "not", "in", "is", "null", "like"}
_TOKEN = re.compile(
    r"""
    (?P<blank>\s+)
  | (?P<number>-?\d+(?:\.\d+)?)
  | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
  | (?P<op><=|>=|!=|=|<|>)
  | (?P<punct>[(),])
  | (?P<name>[A-Za-z_][\w.]*)
""",
    re.VERBOSE,
)


class QueryError(ValueError):
    """A query that cannot be read; `at` is where, counted from 0."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(f"{message} at {at}")
        self.at = at


class Token(NamedTuple):
    """Kind, text and place; keywords have their own word as kind and are written small."""

    kind: str
    text: str
    at: int


def tokens(query: str) -> Iterator[Token]:
    """Yield the tokens of a query, at last one of kind `end`."""
    at = 0
    while at < len(query):
        match = _TOKEN.match(query, at)
        if match is None:
            raise QueryError(f"unexpected {query[at]!r}", at)
        kind, text = match.lastgroup or "", match.group()
        if kind == "name" and text.lower() in KEYWORDS:
            yield Token(text.lower(), text.lower(), at)
        elif kind == "op" or kind == "punct":
            yield Token(text, text, at)
        elif kind != "blank":
            yield Token(kind, text, at)
        at = match.end()
    yield Token("end", "", at)


def unquote(text: str) -> str:
    """Return what a quoted text stands for.

    >>> unquote('"say \\\\"hi\\\\""')
    'say "hi"'
    >>> unquote("''")
    ''
    """
    return re.sub(r"\\(.)", r"\1", text[1:-1])
