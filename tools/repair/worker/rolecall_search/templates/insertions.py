"""One statement more: updates of containers, counters and pointers, copies of siblings."""

from __future__ import annotations

import ast
from typing import Iterator

from rolecall_search.source import FUNCTION_TYPES
from rolecall_search.templates.base import Context, Proposal
from rolecall_search.templates.statements import is_docstring
from rolecall_search.typeinfo import NUMBERS, UNKNOWN, Types, compatible

GROWING = {"list": "append", "set": "add", "deque": "append"}
KEYED = {
    "OrderedDict": ("move_to_end",), "set": ("discard",), "list": ("remove",),
    "dict": ("pop", "update"), "defaultdict": ("pop",), "Counter": ("update",),
}  # fmt: skip
LIMIT = 60


def insert(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """A statement before or after this one."""
    if not isinstance(node, ast.stmt) or context.unit is None or not context.own_line(node):
        return
    if isinstance(node, (*FUNCTION_TYPES, ast.ClassDef)) or is_docstring(context, node):
        return
    leaves = isinstance(node, (ast.Return, ast.Raise, ast.Break, ast.Continue, ast.Pass))
    is_elif = isinstance(node, ast.If) and context.text(node).startswith("elif")
    block = context.block_of(node)
    last = block[-1] is node
    for text, prior in donors(context, node):
        if not is_elif:
            yield Proposal((context.before(node, [text]),), "insert a statement", prior)
        if last and not leaves:
            yield Proposal((context.after(node, [text]),), "insert a statement", prior)
    if last and not leaves and isinstance(context.parent(node), FUNCTION_TYPES):
        yield from _missing_return(context, node)


def donors(context: Context, node: ast.stmt) -> Iterator[tuple[str, float]]:
    """Statements made of the names in scope, typed where types are known."""
    known = context.types.names
    typed = bool(known)
    inside = 1.0 if context.loop_of(node) is not None else 0.6
    count = 0
    for name in context.names:
        for text, prior in _updates(context, name, known.get(name, UNKNOWN), typed=typed):
            count += 1
            if count > LIMIT * 4:
                return
            yield text, prior * inside
    yield from _own(context)
    yield from _copies(context, node)


def _updates(
    context: Context, name: str, types: Types, *, typed: bool
) -> Iterator[tuple[str, float]]:
    for kind, method in GROWING.items():
        if kind in types:
            for other in context.names:
                elements = context.types.elements.get(name, UNKNOWN)
                if other != name and compatible(context.types.names.get(other, UNKNOWN), elements):
                    yield f"{name}.{method}({other})", 0.35
            if kind in ("list", "deque"):
                yield f"{name}.pop()", 0.15
                yield f"{name}.sort()", 0.15
                yield f"{name}.reverse()", 0.12
                yield f"{name} = []", 0.1
            yield f"{name}.clear()", 0.1
    if types & {"int"}:
        yield f"{name} += 1", 0.35
        yield f"{name} -= 1", 0.25
        yield f"{name} = 0", 0.2
    if types & {"str"}:
        yield f"{name} = {name}.strip()", 0.15
        yield f"{name} = {name}.lower()", 0.15
        yield f'{name} = ""', 0.08
    if types & {"bool"}:
        yield f"{name} = True", 0.15
        yield f"{name} = False", 0.15
    if types & {"list", "dict", "set"}:
        yield f"{name} = {name}.copy()", 0.15
    for other in context.names:
        if other == name:
            continue
        right = context.types.names.get(other, UNKNOWN)
        if types and right and (types - {"NoneType"}) & right:
            yield f"{name} = {other}", 0.28
            if types & right & NUMBERS:
                yield f"{name} += {other}", 0.15
                yield f"{name} -= {other}", 0.12
        elif not typed or (types == {"NoneType"} and right):
            yield f"{name} = {other}", 0.12


def _own(context: Context) -> Iterator[tuple[str, float]]:
    """Statements over attributes of `self`."""
    owner = context.types.names.get("self", UNKNOWN)
    for attribute, types in context.types.attributes_of(owner).items():
        target = f"self.{attribute}"
        if types & {"int"}:
            yield f"{target} += 1", 0.3
            yield f"{target} -= 1", 0.25
        if types & {"list", "set", "dict", "deque"}:
            yield f"{target}.clear()", 0.12
        for name in context.names:
            right = context.types.names.get(name, UNKNOWN)
            if right and compatible(types, right):
                same = attribute.strip("_") == name.strip("_")
                yield f"{target} = {name}", 0.6 if same else 0.15
            for kind, method in GROWING.items():
                if kind in types:
                    yield f"{target}.{method}({name})", 0.25
            for kind, methods in KEYED.items():
                if kind in types:
                    for method in methods:
                        yield f"{target}.{method}({name})", 0.15
        if types & {"bool"}:
            yield f"{target} = True", 0.15
            yield f"{target} = False", 0.15
    for method in context.types.methods_of(owner):
        yield f"self.{method}()", 0.08


def _copies(context: Context, node: ast.stmt) -> Iterator[tuple[str, float]]:
    """A simple statement of the unit, again at another place."""
    assert context.unit is not None
    seen = set()
    for other in ast.walk(context.unit.node):
        if isinstance(other, (ast.Assign, ast.AugAssign, ast.Expr)) and other is not node:
            text = context.text(other)
            if "\n" not in text and text not in seen and not is_docstring(context, other):
                seen.add(text)
                yield text, 0.22
    if context.unit.node.name == "__init__":
        yield "super().__init__()", 0.35


def _missing_return(context: Context, node: ast.stmt) -> Iterator[Proposal]:
    for name in context.names:
        edit = context.after(node, [f"return {name}"])
        yield Proposal((edit,), "missing return", 0.45)
    owner = context.types.names.get("self", UNKNOWN)
    texts = ["self", *(f"self.{name}" for name in context.types.attributes_of(owner))]
    for text in (*texts, "True", "False"):
        edit = context.after(node, [f"return {text}"])
        yield Proposal((edit,), "missing return", 0.2)


FAMILY = (insert,)
