"""Conditions: negated, replaced, weakened or strengthened by guards made from names in scope."""

from __future__ import annotations

import ast
from typing import Iterator

from rolecall_search.program.typeinfo import NUMBERS, SIZED, Types, may_be
from rolecall_search.templates.base import Context, Proposal

NONE = frozenset({"NoneType"})
PAIRED = 9
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")


def tested(node: ast.AST) -> Iterator[ast.AST]:
    """The conditions a node holds."""
    if isinstance(node, (ast.If, ast.While, ast.IfExp, ast.Assert)):
        yield node.test
    elif isinstance(node, ast.comprehension):
        yield from node.ifs


def negate(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """A condition negated or fixed."""
    for test in tested(node):
        if not is_not(test):
            yield context.swap(test, f"not {context.wrapped(test)}", "negate a condition", 0.55)
        yield context.swap(test, "True", "fixed condition", 0.2)
        yield context.swap(test, "False", "fixed condition", 0.2)
    if isinstance(node, (ast.Name, ast.Attribute, ast.Call)):
        parent = context.parent(node)
        if isinstance(parent, ast.BoolOp) or (
            isinstance(parent, (ast.Return, ast.keyword)) and context.type_of(node) == {"bool"}
        ):
            yield context.swap(node, f"not {context.text(node)}", "negate a condition", 0.45)
    if isinstance(node, (ast.Compare, ast.BoolOp)) and isinstance(
        context.parent(node), (ast.Return, ast.BoolOp, ast.Assign)
    ):
        yield context.swap(node, f"not ({context.text(node)})", "negate a condition", 0.35)


def ternary(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """The branches of a conditional expression swapped or one taken."""
    if not isinstance(node, ast.IfExp):
        return
    body, test, other = (context.text(part) for part in (node.body, node.test, node.orelse))
    text = f"{other} if {test} else {body}"
    yield context.swap(node, text, "swap branches", 0.5, tight=False)
    yield context.swap(node, body, "take one branch", 0.3, tight=False)
    yield context.swap(node, other, "take one branch", 0.3, tight=False)


def guards(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """`c` becomes `c or g`, `c and g`, `g`, for guards `g` of names in scope."""
    for test in tested(node):
        text = context.wrapped(test) if isinstance(test, (ast.BoolOp, ast.IfExp)) else (context.text(test))
        used = {inner.id for inner in ast.walk(test) if isinstance(inner, ast.Name)}
        for guard, prior in conditions(context, used):
            if guard == text:
                continue
            strong = prior * (1.2 if isinstance(node, (ast.If, ast.While)) else 0.7)
            for made in (f"{guard} or {text}", f"{text} or {guard}"):
                yield context.swap(test, made, "weaken a condition", strong * 0.55, tight=False)
            for made in (f"{guard} and {text}", f"{text} and {guard}"):
                yield context.swap(test, made, "strengthen a condition", strong * 0.55, tight=False)
            constant = isinstance(test, ast.Constant)
            share = 1.3 if constant else 0.3
            yield context.swap(test, guard, "another condition", strong * share)
    yield from _filters(context, node)


def better_than_known(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """`k not in best` becomes `k not in best or cost < best[k]`; `k in best` the same with `and`."""
    for test in tested(node):
        if not isinstance(test, ast.Compare) or not isinstance(test.ops[0], (ast.In, ast.NotIn)):
            continue
        types = context.type_of(test.comparators[0])
        held = f"{context.text(test.comparators[0])}[{context.text(test.left)}]"
        word = "or" if isinstance(test.ops[0], ast.NotIn) else "and"
        for name in context.names if may_be(types, frozenset({"dict", "defaultdict"})) else ():
            kinds = context.types.names.get(name, frozenset())
            if kinds & NUMBERS or not kinds:
                for symbol, prior in (("<", 0.3), (">", 0.25), ("!=", 0.1), ("==", 0.1)):
                    made = f"{context.text(test)} {word} {name} {symbol} {held}"
                    yield context.swap(test, made, "compare with what is known", prior, tight=False)


def truthiness(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """A truth test becomes a test for None or emptiness, and back."""
    for test in tested(node):
        inner = test.operand if is_not(test) else test
        if isinstance(inner, (ast.Name, ast.Attribute, ast.Subscript, ast.NamedExpr)):
            text = context.wrapped(inner)
            forms = (
                (f"{text} is None", f'{text} is None or {text} == ""', f"{text} == 0")
                if is_not(test)
                else (f"{text} is not None", f'{text} is not None and {text} != ""', f"{text} > 0")
            )
            for form, prior in zip(forms, (0.6, 0.3, 0.15)):
                yield context.swap(test, form, "test for None", prior, tight=False)
        if isinstance(test, ast.Compare) and isinstance(test.ops[0], (ast.Is, ast.IsNot)):
            text = context.text(test.left)
            made = f"not {text}" if isinstance(test.ops[0], ast.Is) else text
            yield context.swap(test, made, "test for truth", 0.4)


def is_not(test: ast.AST) -> bool:
    """Whether a condition is a negation."""
    return isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)


def conditional_value(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """A value only under a guard: `e` becomes `e if g else []`."""
    if not isinstance(node, (ast.Return, ast.Assign)) or node.value is None:
        return
    if isinstance(node.value, (ast.Constant, ast.IfExp, ast.List, ast.Tuple)):
        return
    used = {inner.id for inner in ast.walk(node.value) if isinstance(inner, ast.Name)}
    text = context.text(node.value)
    yield from _special_case(context, node.value, text)
    for name in context.names:
        types = context.types.names.get(name, frozenset())
        near = 0.5 if name in used else 0.2
        for guard in (name, f"{name} is not None"):
            for other in ("[]", "0", "None", '""', "False"):
                made = f"{text} if {guard} else {other}"
                share = 1.0 if types else 0.5
                yield context.swap(node.value, made, "value under a condition", 0.25 * near * share)


def _special_case(context: Context, value: ast.expr, text: str) -> Iterator[Proposal]:
    """Another value in a special case.

    `e` becomes `other if name else e` for a name that nothing reads or that is tested elsewhere, and
    `len(x)` becomes `len(x[0]) if x else 0`.
    """
    types = context.type_of(value)
    owner = context.types.names.get("self", frozenset())
    others = {name: kinds for name, kinds in context.types.names.items() if name in context.names}
    others.update({f"self.{name}": kinds for name, kinds in context.types.attributes_of(owner).items()})
    looked_at = {node.test.id for node in ast.walk(context.unit.node if context.unit else value)
                 if isinstance(node, (ast.If, ast.IfExp, ast.While)) and isinstance(node.test, ast.Name)}  # fmt: skip
    for name in sorted((context.unused | looked_at) & set(context.names)):
        for other, kinds in others.items():
            if other not in (name, text) and types & kinds:
                yield context.swap(value, f"{other} if {name} else {text}", "value under a condition", 0.2)
                yield context.swap(value, f"{text} if {name} else {other}", "value under a condition", 0.2)
    if isinstance(value, ast.Call) and len(value.args) == 1 and not value.keywords:
        part = context.text(value.args[0])
        if may_be(context.type_of(value.args[0]), SIZED):
            for other in ("0", "None"):
                made = f"{context.text(value.func)}({part}[0]) if {part} else {other}"
                yield context.swap(value, made, "first if there is one", 0.25)


def _filters(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """A comprehension gets a filter, or loses one."""
    if not isinstance(node, ast.comprehension):
        return
    for test in node.ifs:
        start, end = context.src.span(test)
        at = context.src.text.rfind("if", 0, start)
        if at >= 0:
            yield _cut(context, at, end)
    if not node.ifs:
        names = [n.id for n in ast.walk(node.target) if isinstance(n, ast.Name)]
        text = context.text(node.iter)
        for name in names:
            for guard in (name, f"{name} is not None", f"{name}.strip()", f"{name} != 0"):
                made = f"{text} if {guard}"
                yield context.swap(node.iter, made, "filter a comprehension", 0.25)
            for other in context.names:
                if other != name:
                    for symbol in ("!=", "in", "not in", "<", ">"):
                        made = f"{text} if {name} {symbol} {other}"
                        yield context.swap(node.iter, made, "filter a comprehension", 0.08)


def _cut(context: Context, start: int, end: int) -> Proposal:
    from rolecall_search.program.source import Edit  # noqa: PLC0415

    while start > 0 and context.src.text[start - 1] == " ":
        start -= 1
    return Proposal((Edit(start, end, ""),), "drop a filter", 0.35)


def conditions(context: Context, used: set[str]) -> Iterator[tuple[str, float]]:
    """Conditions over the names in scope; those `used` nearby come first."""
    for name in context.names:
        near = 1.0 if name in used else 0.55
        types = context.types.names.get(name, frozenset())
        for guard, prior in simple_guards(name, types, none_errors=_none_errors(context)):
            yield guard, prior * near
    owner = context.types.names.get("self", frozenset())
    for name, types in context.types.attributes_of(owner).items():
        for guard, prior in simple_guards(f"self.{name}", types, none_errors=_none_errors(context)):
            yield guard, prior * 0.5
    yield from _attribute_guards(context, used)
    yield from pair_guards(context, used)


def _none_errors(context: Context) -> bool:
    return bool(context.hints.errors & {"AttributeError", "TypeError"})


def simple_guards(name: str, types: Types, *, none_errors: bool) -> Iterator[tuple[str, float]]:
    """Conditions over one name."""
    known = bool(types)
    if may_be(types, NONE):
        prior = (0.6 if known else 0.25) * (1.3 if none_errors else 0.8)
        yield f"{name} is None", prior
        yield f"{name} is not None", prior
    if not known or types & (SIZED | {"bool", "NoneType"}) or not types <= NUMBERS:
        yield f"not {name}", 0.4 if known else 0.25
        yield name, 0.4 if known else 0.25
    if types & SIZED:
        yield f"len({name}) > 1", 0.2
        yield f"len({name}) == 1", 0.15
        yield f"len({name}) <= 1", 0.15
    if may_be(types, NUMBERS - {"bool"}):
        share = 1.0 if known else 0.3
        for symbol, prior in (("==", 0.35), ("<", 0.3), ("<=", 0.25), (">", 0.3), (">=", 0.2), ("!=", 0.3)):
            yield f"{name} {symbol} 0", prior * share
        for symbol in ("==", "<=", ">", "<"):
            yield f"{name} {symbol} 1", 0.15 * share
    if not known or (types - NUMBERS - NONE - SIZED):
        return
    if {"str", "list"} <= types or {"int", "str"} <= types or {"list", "tuple"} <= types:
        for kind in sorted(types & {"str", "list", "int", "tuple", "dict"}):
            yield f"isinstance({name}, {kind})", 0.3
            yield f"not isinstance({name}, {kind})", 0.25


def _attribute_guards(context: Context, used: set[str]) -> Iterator[tuple[str, float]]:
    """Conditions over attributes that the unit reads anyway, and over those of nearby names."""
    seen = set()
    for text, types in read_attributes(context):
        seen.add(text)
        for guard, prior in simple_guards(text, types, none_errors=_none_errors(context)):
            yield guard, prior * 0.6
    for name in context.names:
        if name not in used:
            continue
        owner = context.types.names.get(name, frozenset())
        for attribute, types in context.types.attributes_of(owner).items():
            if f"{name}.{attribute}" not in seen:
                for guard, prior in simple_guards(f"{name}.{attribute}", types, none_errors=False):
                    yield guard, prior * 0.5


def read_attributes(context: Context) -> list[tuple[str, Types]]:
    """The attribute chains a unit reads, without calls, and their types."""
    found: dict[str, Types] = {}
    root = context.unit.node if context.unit is not None else context.src.tree
    for node in ast.walk(root):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            parent = context.parent(node)
            called = isinstance(parent, ast.Call) and parent.func is node
            text = context.text(node)
            if not called and text not in found and text.replace(".", "").isidentifier():
                types = context.type_of(node)
                if types:
                    found[text] = types
    return list(found.items())[:12]


def pair_guards(context: Context, used: set[str]) -> Iterator[tuple[str, float]]:
    """Comparisons of two names of alike types, and membership."""
    known = context.types.names
    names = context.names[:PAIRED]
    for at, one in enumerate(names):
        left = known.get(one, frozenset())
        for other in names[at + 1 :]:
            right = known.get(other, frozenset())
            near = 0.5 + 0.25 * ((one in used) + (other in used))
            if left & NUMBERS and right & NUMBERS:
                for symbol in COMPARISONS:
                    yield f"{one} {symbol} {other}", 0.2 * near
            elif left and right and left & right - NONE:
                yield f"{one} == {other}", 0.15 * near
                yield f"{one} != {other}", 0.15 * near
        for other in names:
            right = known.get(other, frozenset())
            if other != one and left and right & SIZED - {"str"} and not left & {"list", "dict", "set"}:
                near = 0.5 + 0.25 * ((one in used) + (other in used))
                yield f"{one} in {other}", 0.2 * near
                yield f"{one} not in {other}", 0.2 * near
            if other != one and left & {"int"} and right & {"list", "str", "tuple"}:
                for symbol in ("<", ">=", "=="):
                    yield f"{one} {symbol} len({other})", 0.2 * (0.6 if other not in used else 1.0)


FAMILY = (negate, ternary, guards, better_than_known, truthiness, conditional_value)
