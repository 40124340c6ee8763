"""Strings: separators, formats, case and neighbours of a literal."""

from __future__ import annotations

import ast
import re
from typing import Iterator

from rolecall_search.program.source import Edit
from rolecall_search.templates.base import Context, Proposal

SEPARATORS = (", ", ",", " ", "", "-", "_", "\\n", ": ", ":", "; ", ";", ".", "/", "\\t", "|")
SPEC = re.compile(r"\.(\d+)([fdeg%])")
SET_END = re.compile(r"\](?![+*?{])")
MODES = {"r": ("rb", "w"), "rb": ("r",), "w": ("a", "wb"), "a": ("w",), "wb": ("w",), "x": ("w",)}


def literal(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """Another string literal."""
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
        return
    if isinstance(context.parent(node), (ast.Expr, ast.JoinedStr)):
        return
    text = context.text(node)
    quote = text[-1:]
    if quote not in "'\"" or text[:3] in ('"""', "'''"):
        return
    if SET_END.search(text) and "\\" not in text[1:-1]:
        for sign in "+*":
            yield context.swap(node, SET_END.sub(rf"\g<0>{sign}", text), "repeat in a pattern", 0.5)
    seen = {text}
    for value, prior in _values(context, node.value):
        made = f"{quote}{value}{quote}"
        if made not in seen and quote not in value:
            seen.add(made)
            yield context.swap(node, made, "another string", prior)


def _values(context: Context, value: str) -> Iterator[tuple[str, float]]:
    if len(value) <= 2 and not value.isalnum():
        for other in SEPARATORS:
            yield other, 0.3
    else:
        yield "", 0.15
    plain = value.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
    for other in MODES.get(value, ()):
        yield other, 0.5
    for changed in (plain.lower(), plain.upper(), plain.strip(), plain.title(), plain[:-1], plain[1:]):
        yield changed, 0.2
    for word in context.hints.literals:
        near = _near(word, value)
        yield word, 0.15 + 0.55 * near
    yield from _format_changes(plain)
    for extra in ("\\n", " ", ".", "s", ","):
        yield plain + extra, 0.12
    for other in context.strings:
        yield other, 0.2


def _format_changes(text: str) -> Iterator[tuple[str, float]]:
    for match in SPEC.finditer(text):
        digits = int(match.group(1))
        for other in (digits + 1, digits - 1, 0, 1, 2, 3):
            if other >= 0 and other != digits:
                changed = f"{text[: match.start(1)]}{other}{text[match.end(1) :]}"
                yield changed, 0.4
    for one, other in ((">", "<"), ("<", ">"), ("^", "<"), ("%d", "%s"), ("%s", "%r"), ("%H", "%I"),
                       ("%m", "%M"), ("%M", "%m"), ("%y", "%Y"), ("%Y", "%y"), ("%d", "%D"),
                       ("+", "*"), ("*", "+"), ("^", ""), ("$", ""), ("\\\\d", "\\\\w"), ("\\\\w", "\\\\S"),
                       (", ", ","), (",", ", "), (": ", ":"), (":", ": "), ("-", "_"), ("_", "-"),
                       ("[", "("), ("/", "-"), ("+", ""), ("?", "")):  # fmt: skip
        if one in text:
            yield text.replace(one, other), 0.2
            if text.count(one) > 1:
                yield text.replace(one, other, 1), 0.12


def _near(one: str, other: str) -> float:
    """Share of equal characters at the ends of two strings."""
    if not one or not other:
        return 0.0
    same = sum(1 for left, right in zip(one, other) if left == right)
    tail = sum(1 for left, right in zip(reversed(one), reversed(other)) if left == right)
    return min(1.0, max(same, tail) / max(len(one), len(other)))


def formatted(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """Specs and fixed parts of f-strings."""
    if not isinstance(node, ast.JoinedStr):
        return
    start, end = context.src.span(node)
    text = context.src.text[start:end]
    if "\n" in text:
        return
    for changed, prior in _format_changes(text):
        yield Proposal((Edit(start, end, changed),), "another format", prior)
    yield from _of_one(context, node, text)
    for match in re.finditer(r"\{([A-Za-z_][\w.]*)(![rsa])?\}", text):
        name = match.group(1)
        for other in context.names:
            if other != name:
                made = text[: match.start(1)] + other + text[match.end(1) :]
                yield Proposal((Edit(start, end, made),), "another variable", 0.25)
        for spec in (":02d", ":.2f", "!r", ":.1f", ":,"):
            made = text[: match.end(1)] + spec + text[match.end() - 1 :]
            yield Proposal((Edit(start, end, made),), "another format", 0.15)
        for method in (".lower()", ".upper()", ".strip()", ".title()"):
            made = text[: match.end(1)] + method + text[match.end(1) :]
            yield Proposal((Edit(start, end, made),), "another format", 0.1)


def _of_one(context: Context, node: ast.JoinedStr, text: str) -> Iterator[Proposal]:
    """One thing is written in another way than several: without the `s`, or without its number."""
    parts = [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
    for count in parts:
        if "int" not in context.type_of(count):
            continue
        name = context.text(count)
        for match in re.finditer(r"(?<=[}a-z])s(?![a-z])", text):
            at = match.start()
            single = text[:at] + text[at + 1 :]
            made = f"{single} if {name} == 1 else {text}"
            yield context.swap(node, made, "singular", 0.3, tight=False)
        for other in parts:
            if other is not count and "str" in context.type_of(other):
                made = f"{context.text(other)} if {name} == 1 else {text}"
                yield context.swap(node, made, "singular", 0.2, tight=False)


def ignoring_case(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """Both sides of a comparison of strings in lower case."""
    if not isinstance(node, ast.Compare) or len(node.ops) != 1:
        return
    if "str" in context.type_of(node.left) and isinstance(node.ops[0], (ast.Eq, ast.NotEq, ast.In)):
        left, right = context.src.span(node.left), context.src.span(node.comparators[0])
        edits = (Edit(left[1], left[1], ".lower()"), Edit(right[1], right[1], ".lower()"))
        yield Proposal(edits, "ignore case", 0.2)


FAMILY = (literal, formatted, ignoring_case)
