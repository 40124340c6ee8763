"""Operators: comparisons, arithmetic, bits, booleans, signs and off-by-one."""

from __future__ import annotations

import ast
import re
from typing import Iterator, Optional

from rolecall_search.program.source import Edit
from rolecall_search.program.typeinfo import NUMBERS, Types, may_be
from rolecall_search.templates.base import Context, Proposal
from rolecall_search.templates.operator_tables import (
    ARITHMETIC,
    BINARY,
    COMPARE,
    RARE_PRIOR,
    binary_priors,
    misfits,
)

INT = frozenset({"int", "bool"})
OPERAND_PLACES = (ast.Call, ast.Return, ast.Assign, ast.Subscript, ast.Slice, ast.AugAssign,
                  ast.Compare, ast.Tuple, ast.keyword)  # fmt: skip


def between(context: Context, left: ast.AST, right: ast.AST, symbol: str) -> Optional[Edit]:
    """The place of an operator between two operands; comments and parentheses are skipped."""
    start = context.src.span(left)[1]
    end = context.src.span(right)[0]
    pattern = r"\s+".join(re.escape(word) for word in symbol.split())
    if symbol[0].isalpha():
        pattern = rf"\b{pattern}\b"
    gap = context.src.text[start:end]
    clean = re.sub(r"#[^\n]*", lambda found: " " * len(found.group()), gap)
    match = re.search(pattern, clean)
    return Edit(start + match.start(), start + match.end(), "") if match else None


def compare(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """Another comparison operator."""
    if not isinstance(node, ast.Compare):
        return
    left: ast.AST = node.left
    share = 0.4 if context.negated(node) else 1.0
    for operator, right in zip(node.ops, node.comparators):
        symbol, others = COMPARE[type(operator)]
        place = between(context, left, right, symbol)
        if place is not None:
            for other, base in others.items():
                prior = base * share
                yield Proposal((place._replace(text=other),), "comparison operator", prior)
                if symbol in ("<", "<=", ">", ">=", "==") and other in ("<", "<=", ">", ">="):
                    sized = isinstance(left, ast.Call) and context.text(left).startswith("len(")
                    near = 0.8 if sized and symbol == "==" else 0.3
                    yield from _with_bound(context, place, other, right, prior * near)
        left = right


def compare_all(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """The same change to every comparison of a statement."""
    if not isinstance(node, (ast.BoolOp, ast.Compare, ast.IfExp)):
        return
    if isinstance(context.parent(node), (ast.BoolOp, ast.UnaryOp)):
        return
    places: dict[str, list[Edit]] = {}
    for inner in ast.walk(node):
        if isinstance(inner, ast.Compare):
            left: ast.AST = inner.left
            for operator, right in zip(inner.ops, inner.comparators):
                symbol = COMPARE[type(operator)][0]
                place = between(context, left, right, symbol)
                if place is not None:
                    places.setdefault(symbol, []).append(place)
                left = right
    for symbol, edits in places.items():
        others = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "is": "=="}
        if len(edits) > 1 and symbol in others:
            made = tuple(edit._replace(text=others[symbol]) for edit in edits)
            yield Proposal(made, "comparison operators", 0.5)


def _with_bound(context: Context, place: Edit, other: str, right: ast.AST, prior: float) -> Iterator[Proposal]:
    if isinstance(right, ast.Constant) and type(right.value) is int:
        start, end = context.src.span(right)
        for step in (1, -1):
            edit = Edit(start, end, str(right.value + step))
            yield Proposal((place._replace(text=other), edit), "comparison operator and bound", prior)


def binary(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """Another arithmetic or bit operator, other grouping, one operand fewer, operands swapped."""
    if isinstance(node, ast.AugAssign):
        yield from _augmented(context, node)
    if not isinstance(node, ast.BinOp):
        return
    symbol, _ = BINARY[type(node.op)]
    place = between(context, node.left, node.right, symbol)
    kinds = context.type_of(node.left), context.type_of(node.right)
    raised = context.crashed(node, "TypeError")
    if place is not None:
        for other, prior in binary_priors(node, *kinds, raised=raised).items():
            yield Proposal((place._replace(text=other),), "arithmetic operator", prior)
    left, right = context.wrapped(node.left), context.wrapped(node.right)
    drop = 0.1 if raised or misfits(symbol, *kinds) else 0.4
    yield context.swap(node, left, "drop an operand", drop)
    yield context.swap(node, right, "drop an operand", drop)
    commutes = isinstance(node.op, (ast.Mult, ast.BitOr, ast.BitAnd, ast.BitXor))
    if not commutes and not (isinstance(node.op, ast.Add) and context.type_of(node) == {"int"}):
        text = f"{right} {symbol} {left}"
        yield context.swap(node, text, "swap operands", 0.45, tight=False)
    yield from _regroup(context, node, symbol)


def _regroup(context: Context, node: ast.BinOp, symbol: str) -> Iterator[Proposal]:
    inner = node.left
    if isinstance(inner, ast.BinOp):
        one, two = context.text(inner.left), context.text(inner.right)
        first = BINARY[type(inner.op)][0]
        text = f"{context.wrapped(inner.left)} {first} ({two} {symbol} {context.text(node.right)})"
        yield context.swap(node, text, "other grouping", 0.3, tight=False)
        text = f"({one} {first} {two}) {symbol} {context.wrapped(node.right)}"
        yield context.swap(node, text, "other grouping", 0.15, tight=False)
    inner = node.right
    if isinstance(inner, ast.BinOp):
        left, two = context.text(node.left), context.text(inner.left)
        second = BINARY[type(inner.op)][0]
        text = f"({left} {symbol} {two}) {second} {context.wrapped(inner.right)}"
        yield context.swap(node, text, "other grouping", 0.4, tight=False)


def _augmented(context: Context, node: ast.AugAssign) -> Iterator[Proposal]:
    symbol, others = BINARY[type(node.op)]
    place = between(context, node.target, node.value, symbol + "=")
    if place is None:
        return
    every = {name: RARE_PRIOR for name in ARITHMETIC if name != symbol}
    for other, prior in {**every, **others}.items():
        boost = 0.2 if symbol in "&|^" or other in "&|^" else 0.0
        yield Proposal((place._replace(text=other + "="),), "assignment operator", prior + boost)
    if symbol == "-":
        yield Proposal((place._replace(text="&="),), "assignment operator", 0.1)
    yield Proposal((place._replace(text="="),), "assign instead of accumulate", 0.45)


def assign_to_augment(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """`x = y` becomes `x += y` or similar."""
    if not isinstance(node, ast.Assign) or len(node.targets) != 1:
        return
    if isinstance(node.targets[0], (ast.Tuple, ast.List)):
        return
    place = between(context, node.targets[0], node.value, "=")
    types = context.type_of(node.targets[0]) | context.type_of(node.value)
    if place is None or (types and types <= {"NoneType", "bool", "dict"}):
        return
    first = 0.4 if context.loop_of(node) is not None else 0.25
    for symbol, prior in (("+=", first), ("-=", 0.15), ("*=", 0.1), ("|=", 0.08)):
        yield Proposal((place._replace(text=symbol),), "accumulate instead of assign", prior)


def boolean(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """`and` for `or`, one operand fewer, one operand negated, other grouping."""
    if not isinstance(node, ast.BoolOp):
        return
    symbol, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
    edits = []
    for left, right in zip(node.values, node.values[1:]):
        place = between(context, left, right, symbol)
        if place is None:
            return
        edits.append(place._replace(text=other))
    yield Proposal(tuple(edits), "boolean operator", 1.1)
    if len(edits) > 1:
        for edit in edits:
            yield Proposal((edit,), "boolean operator", 0.4)
    for value in node.values:
        rest = [context.text(entry) for entry in node.values if entry is not value]
        text = f" {symbol} ".join(rest)
        yield context.swap(node, text, "drop a condition", 0.45, tight=len(rest) == 1)
    yield from _regroup_boolean(context, node, symbol, other)


def _regroup_boolean(context: Context, node: ast.BoolOp, symbol: str, other: str) -> Iterator[Proposal]:
    for at, value in enumerate(node.values):
        if not isinstance(value, ast.BoolOp):
            continue
        inner = [context.wrapped(entry) for entry in value.values]
        before = [context.wrapped(entry) for entry in node.values[:at]]
        after = [context.wrapped(entry) for entry in node.values[at + 1 :]]
        if after:
            grouped = f"({inner[-1]} {symbol} {f' {symbol} '.join(after)})"
            text = f" {other} ".join([*inner[:-1], grouped])
            if not before:
                yield context.swap(node, text, "other grouping", 0.35, tight=False)
        if before and not after:
            grouped = f"({f' {symbol} '.join(before)} {symbol} {inner[0]})"
            text = f" {other} ".join([grouped, *inner[1:]])
            yield context.swap(node, text, "other grouping", 0.35, tight=False)


def unary(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """One sign or negation fewer."""
    if isinstance(node, ast.UnaryOp):
        prior = 1.05 if isinstance(node.op, ast.Not) else 0.5
        text = context.wrapped(node.operand)
        bare, tight = context.text(node.operand), text == context.text(node.operand)
        yield context.swap(node, bare, "drop a sign or negation", prior, tight=tight)
        if isinstance(node.op, ast.USub):
            yield context.swap(node, f"~{text}", "another sign", 0.1)
            if isinstance(node.operand, ast.Constant) and node.operand.value == 1:
                yield context.swap(node, "0", "constant off by one", 0.9)
        if isinstance(node.op, ast.Invert):
            yield context.swap(node, f"-{text}", "another sign", 0.4)
    elif isinstance(node, (ast.Name, ast.Attribute, ast.Subscript, ast.Call, ast.BinOp)):
        kinds = context.type_of(node)
        if _sorts(context, node):
            share = 1.0 if not kinds or kinds & NUMBERS else 0.0
            yield context.swap(node, f"-{context.wrapped(node)}", "add a sign", 0.35 * share, tight=False)
        elif kinds & (NUMBERS - {"bool"}) and _is_value(node):
            text = f"-{context.wrapped(node)}"
            near = isinstance(context.parent(node), (ast.Compare, ast.BinOp))
            prior = 0.2 if near else 0.12
            yield context.swap(node, text, "add a sign", prior, tight=False)


def _sorts(context: Context, node: ast.AST) -> bool:
    """Whether a node is what a lambda returns, or part of it: a sort key."""
    parent = context.parent(node)
    if isinstance(parent, ast.Tuple):
        node, parent = parent, context.parent(parent)
    return isinstance(parent, ast.Lambda) and parent.body is node


def off_by_one(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """One more or one less than an integer expression."""
    if not isinstance(node, (ast.Name, ast.Attribute, ast.Subscript, ast.Call, ast.BinOp)):
        return
    if not _is_value(node) or not may_be(context.type_of(node), INT):
        return
    if isinstance(node, ast.BinOp) and not isinstance(
        node.op, (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod, ast.Pow)
    ):
        return
    prior = _one_prior(context, node) * (1.0 if context.type_of(node) else 0.45)
    if prior <= 0:
        return
    text = context.text(node)
    for sign, undone in (("+", ast.Sub), ("-", ast.Add)):
        if isinstance(node, ast.BinOp) and isinstance(node.op, undone) and context.text(node.right) == "1":
            yield context.swap(node, context.text(node.left), "off by one", prior, tight=False)
        else:
            yield context.swap(node, f"{text} {sign} 1", "off by one", prior, tight=False)


def add_operand(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """One more operand: a name in scope or an own attribute, added, subtracted, multiplied or appended."""
    if not isinstance(node, (ast.Name, ast.Attribute, ast.Subscript, ast.Call, ast.Constant)):
        return
    parent = context.parent(node)
    called = isinstance(parent, ast.Call) and parent.func is node
    if called or not _is_value(node) or not isinstance(parent, OPERAND_PLACES):
        return
    text = context.text(node)
    for name in context.names:
        if name != text:
            for made, prior in _sums(context, text, context.type_of(node), name):
                yield context.swap(node, made, "add an operand", prior, tight=False)
                if "NoneType" in context.type_of(node):
                    unless = f"None if {text} is None else {made}"
                    yield context.swap(node, unless, "add an operand", prior, tight=False)
    yield from _further_elements(context, node, text)
    yield from _own_operand(context, node, text)
    yield from _string_operand(context, node, text)


def _further_elements(context: Context, node: ast.AST, text: str) -> Iterator[Proposal]:
    """A list that is handed on takes in the elements of an attribute: `rest` becomes `[*rest, *release.needs]`."""
    if not isinstance(node, (ast.Name, ast.Attribute)) or not context.type_of(node) & {"list", "tuple"}:
        return
    opening, closing = "[]" if "list" in context.type_of(node) else "()"
    for name in context.names:
        for attribute, kinds in context.types.attributes_of(context.types.names.get(name, frozenset())).items():
            if kinds & {"list", "tuple"} and f"{name}.{attribute}" != text:
                made = f"{opening}*{text}, *{name}.{attribute}{closing}"
                yield context.swap(node, made, "add an operand", 0.25)


def _own_operand(context: Context, node: ast.AST, text: str) -> Iterator[Proposal]:
    owner = context.types.names.get("self", frozenset())
    for name, types in context.types.attributes_of(owner).items():
        if types & {"int", "float"} and may_be(context.type_of(node), INT) and f"self.{name}" != text:
            for symbol in ("+", "-"):
                yield context.swap(node, f"{text} {symbol} self.{name}", "add an operand", 0.2, tight=False)


def _string_operand(context: Context, node: ast.AST, text: str) -> Iterator[Proposal]:
    if "str" in context.type_of(node) and not isinstance(node, ast.Constant):
        for literal in ('" "', '","', '"."', '"-"', '"_"', '"/"', '":"', '"\\n"'):
            for made in (f"{text} + {literal}", f"{literal} + {text}"):
                yield context.swap(node, made, "add a string", 0.07, tight=False)


def _sums(context: Context, text: str, types: Types, name: str) -> Iterator[tuple[str, float]]:
    other = context.types.names.get(name, frozenset())
    if types & NUMBERS and other & NUMBERS:
        for symbol, prior in (("-", 0.25), ("+", 0.25), ("//", 0.14), ("*", 0.12), ("%", 0.1)):
            yield f"{text} {symbol} {name}", prior
    elif types & other & {"list", "str"}:
        yield f"{text} + {name}", 0.22
        yield f"{name} + {text}", 0.22


def add_global(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """A constant of the module as one more operand."""
    if not isinstance(node, (ast.Name, ast.Attribute, ast.Call, ast.BinOp)) or not _is_value(node):
        return
    if not isinstance(context.parent(node), (ast.Return, ast.Assign, ast.Call, ast.Compare, ast.IfExp)):
        return
    types = context.type_of(node)
    for name in context.globals:
        if types & context.types.names.get(name, frozenset()) & {"tuple", "list", "str"}:
            for made in (f"{name} + {context.text(node)}", f"{context.text(node)} + {name}"):
                yield context.swap(node, made, "add an operand", 0.2, tight=False)
        if context.types.names.get(name, frozenset()) & NUMBERS and types & NUMBERS:
            text = context.wrapped(node)
            for symbol, prior in (("%", 0.15), ("+", 0.12), ("-", 0.12), ("*", 0.12), ("//", 0.1)):
                made = f"{text} {symbol} {name}"
                yield context.swap(node, made, "add an operand", prior, tight=False)


def add_list_operand(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """A list expression gets a list or a number in scope as one more operand."""
    if not isinstance(node, (ast.ListComp, ast.List, ast.BinOp)):
        return
    parent = context.parent(node)
    if not isinstance(parent, (ast.Return, ast.Assign)):
        return
    types = context.type_of(node)
    for name in context.names:
        other = context.types.names.get(name, frozenset())
        if types & other & ({"list", "str"} | NUMBERS):
            text = context.text(node)
            for made in (f"{name} + {text}", f"{text} + {name}"):
                yield context.swap(node, made, "add an operand", 0.3, tight=False)
            if types & other & NUMBERS:
                made = f"{text} - {name}"
                yield context.swap(node, made, "add an operand", 0.2, tight=False)


def _one_prior(context: Context, node: ast.AST) -> float:
    parent = context.parent(node)
    if isinstance(parent, (ast.Slice, ast.Subscript)):
        return 0.6
    if isinstance(parent, ast.Call):
        called = context.text(parent.func)
        if parent.func is node:
            return 0.0
        return 0.65 if called in ("range", "min", "max") else 0.45
    if isinstance(parent, ast.BinOp):
        return 0.3
    if isinstance(parent, (ast.Return, ast.Assign, ast.AugAssign, ast.Compare, ast.Tuple)):
        return 0.4
    return 0.2


def _is_value(node: ast.AST) -> bool:
    return isinstance(getattr(node, "ctx", ast.Load()), ast.Load)


FAMILY = (
    compare, binary, assign_to_augment, boolean, unary, off_by_one, add_operand, add_list_operand,
    compare_all, add_global,
)  # fmt: skip
