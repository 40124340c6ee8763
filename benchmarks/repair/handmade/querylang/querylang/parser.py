"""Turns a query into nodes by recursive descent: `or` binds weakest, then `and`, then `not`."""

from typing import Any

from querylang.lexer import QueryError, Token, tokens, unquote
from querylang.nodes import COMPARE, Among, And, Compare, IsNull, Like, Not, Or

__all__ = ["QueryError", "parse"]


class _Parser:
    def __init__(self, query: str) -> None:
        self.tokens = list(tokens(query))
        self.next = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.next]

    def take(self, *kinds: str) -> Token | None:
        """Return the next token and go on if it is of one of these kinds."""
        token = self.token
        if token.kind not in kinds:
            return None
        self.next += 1
        return token

    def need(self, *kinds: str) -> Token:
        token = self.take(*kinds)
        if token is None:
            raise QueryError(f"expected {' or '.join(kinds)}", self.token.at)
        return token

    def either(self) -> Any:
        parts = [self.both()]
        while self.take("or"):
            parts.append(self.both())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def both(self) -> Any:
        parts = [self.negated()]
        while self.take("and"):
            parts.append(self.negated())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def negated(self) -> Any:
        if self.take("not"):
            return Not(self.negated())
        return self.primary()

    def primary(self) -> Any:
        if self.take("("):
            inner = self.either()
            self.need(")")
            return inner
        return self.condition(self.need("name").text)

    def condition(self, field: str) -> Any:
        negative = self.take("not") is not None
        found: Any
        if self.take("in"):
            found = Among(field, self.values())
        elif self.take("like"):
            found = Like(field, unquote(self.need("text").text))
        elif negative:
            raise QueryError("expected in or like", self.token.at)
        elif self.take("is"):
            negative = self.take("not") is not None
            self.need("null")
            found = IsNull(field)
        else:
            found = Compare(field, self.need(*COMPARE).kind, self.value())
        return Not(found) if negative else found

    def values(self) -> tuple[Any, ...]:
        self.need("(")
        found = [self.value()]
        while self.take(","):
            found.append(self.value())
        self.need(")")
        return tuple(found)

    def value(self) -> Any:
        token = self.need("number", "text", "name")
        if token.kind == "text":
            return unquote(token.text)
        if token.kind == "number":
            return float(token.text) if "." in token.text else int(token.text)
        words = {"true": True, "false": False}
        if token.text.lower() not in words:
            raise QueryError("texts stand in quotes", token.at)
        return words[token.text.lower()]


def parse(query: str) -> Any:
    """Return the condition a query stands for.

    Raises:
        QueryError: it cannot be read, or something follows its end.
    """
    parser = _Parser(query)
    condition = parser.either()
    parser.need("end")
    return condition
