"""Which operators may replace which: the tables and what types say about them.

Owns the prior weights of operators. It reads no text.
"""

from __future__ import annotations

import ast

from rolecall_search.program.typeinfo import Types

COMPARE: dict[type, tuple[str, dict[str, float]]] = {
    ast.Lt: ("<", {"<=": 1.0, ">": 0.7, ">=": 0.6, "!=": 0.25, "==": 0.15}),
    ast.LtE: ("<=", {"<": 1.0, ">=": 0.7, ">": 0.6, "==": 0.25}),
    ast.Gt: (">", {">=": 1.0, "<": 0.7, "<=": 0.6, "!=": 0.25, "==": 0.15}),
    ast.GtE: (">=", {">": 1.0, "<=": 0.7, "<": 0.6, "==": 0.25}),
    ast.Eq: ("==", {"!=": 0.8, "<=": 0.4, ">=": 0.4, "<": 0.3, ">": 0.3, "in": 0.2, "is": 0.15}),
    ast.NotEq: ("!=", {"==": 0.8, "<": 0.35, ">": 0.4, "not in": 0.2}),
    ast.Is: ("is", {"is not": 0.8, "==": 0.4}),
    ast.IsNot: ("is not", {"is": 0.8, "!=": 0.4}),
    ast.In: ("in", {"not in": 0.8, "==": 0.2}),
    ast.NotIn: ("not in", {"in": 0.8, "!=": 0.2}),
}
BINARY: dict[type, tuple[str, dict[str, float]]] = {
    ast.Add: ("+", {"-": 0.8, "*": 0.35, "|": 0.1, "%": 0.15, "//": 0.1, "/": 0.1, "**": 0.1}),
    ast.Sub: ("-", {"+": 0.8, "*": 0.2, "%": 0.2, "//": 0.15, "/": 0.1}),
    ast.Mult: ("*", {"/": 0.5, "+": 0.4, "**": 0.35, "//": 0.4, "-": 0.2, "%": 0.15}),
    ast.Div: ("/", {"//": 0.8, "*": 0.6, "%": 0.2, "-": 0.1, "+": 0.1}),
    ast.FloorDiv: ("//", {"/": 0.7, "%": 0.5, "*": 0.5, "-": 0.15, "+": 0.1, ">>": 0.1}),
    ast.Mod: ("%", {"//": 0.6, "*": 0.2, "/": 0.3, "+": 0.15, "-": 0.15}),
    ast.Pow: ("**", {"*": 0.6, "//": 0.1, "+": 0.15, "-": 0.1, "/": 0.1, "%": 0.1}),
    ast.LShift: ("<<", {">>": 0.8, "+": 0.5, "-": 0.4, "*": 0.3}),
    ast.RShift: (">>", {"<<": 0.8, "//": 0.3, "+": 0.4, "-": 0.4}),
    ast.BitOr: ("|", {"&": 0.7, "^": 0.5, "+": 0.1, "<<": 0.1, ">>": 0.1, "-": 0.2}),
    ast.BitAnd: ("&", {"|": 0.7, "^": 0.5, "<<": 0.1, ">>": 0.1, "-": 0.2}),
    ast.BitXor: ("^", {"&": 0.7, "|": 0.7, "**": 0.3, "+": 0.3, "-": 0.3}),
    ast.MatMult: ("@", {"*": 0.5}),
}
RARE_PRIOR = 0.1
ARITHMETIC = ("+", "-", "*", "/", "//", "%", "**", "<<", ">>", "|", "&", "^")
BITS = ("<<", ">>", "|", "&", "^", "@")
FITTING = {
    "str": {"+": 0.9, "%": 0.6, "*": 0.4}, "bytes": {"+": 0.9, "%": 0.4, "*": 0.4},
    "list": {"+": 0.9, "*": 0.5}, "tuple": {"+": 0.9, "*": 0.5},
    "set": {"|": 0.8, "&": 0.8, "-": 0.8, "^": 0.4},
    "frozenset": {"|": 0.8, "&": 0.8, "-": 0.8, "^": 0.4},
}  # fmt: skip
INEXACT = frozenset({"float", "Decimal", "Fraction", "complex"})
NUMERIC = {"*": 0.9, "+": 0.8, "-": 0.8, "/": 0.7, "//": 0.5, "%": 0.5, "**": 0.3}
SURE = 1.5
RAISED = 1.2


def fitting(left: Types, right: Types) -> dict[str, float]:
    """The operators that the operands' types support; empty when the types are unknown."""
    for kinds in (left, right):
        found: dict[str, float] = {}
        for kind in sorted(kinds - {"NoneType"}):
            if kind not in FITTING:
                return {}
            found.update(FITTING[kind])
        if found:
            return found if kinds is left else {name: 0.7 * found[name] for name in found}
    return {}


def misfits(symbol: str, left: Types, right: Types) -> bool:
    """Whether no operand of these types supports the operator."""
    fits = fitting(left, right)
    if symbol in BITS and (left | right) & INEXACT:
        return True
    if left <= {"int", "bool"} and left and right & {"str", "list", "tuple", "bytes"}:
        return symbol != "*"
    return bool(fits) and symbol not in fits


def binary_priors(node: ast.BinOp, left: Types, right: Types, *, raised: bool) -> dict[str, float]:
    """Every other operator with its weight.

    `raised` says that a TypeError came from this expression.
    """
    symbol, others = BINARY[type(node.op)]
    rare = RAISED if raised else 0.3 if symbol == "@" else RARE_PRIOR
    made = {name: rare for name in ARITHMETIC if name != symbol}
    for name, prior in others.items():
        made[name] = max(prior, rare)
    fits = fitting(left, right)
    if not fits and symbol in BITS and (left | right) & INEXACT:
        fits = NUMERIC  # no such number takes an operator for bits
    if not fits:
        return made
    sure = SURE if misfits(symbol, left, right) else 0.5
    for name in made:
        made[name] = sure * fits[name] if name in fits else 0.05
    if isinstance(node.left, ast.Constant) and "%" in str(node.left.value) and "%" in made:
        made["%"] = 1.5 * sure
    return made
