"""One more statement: updates of containers, counters and pointers, copies of siblings."""

from __future__ import annotations

import ast
from typing import Iterator

from rolecall_search.program.source import FUNCTION_TYPES
from rolecall_search.program.typeinfo import NUMBERS, UNKNOWN, Types, compatible
from rolecall_search.templates.base import Context, Proposal
from rolecall_search.templates.statements import is_docstring

GROWING = {"list": "append", "set": "add", "deque": "append"}
KEYED = {
    "OrderedDict": ("move_to_end",), "set": ("discard",), "list": ("remove",),
    "dict": ("pop", "update"), "defaultdict": ("pop",), "Counter": ("update",),
}  # fmt: skip
LISTED = (("{0}.pop()", 0.15), ("{0}.sort()", 0.15), ("{0}.reverse()", 0.2), ("{0} = []", 0.1))
PLAIN_UPDATES: dict[str, tuple[tuple[str, float], ...]] = {
    "list": (*LISTED, ("{0}.clear()", 0.1), ("{0} = {0}.copy()", 0.15)),
    "deque": (*LISTED[:1], ("{0}.clear()", 0.1)),
    "set": (("{0}.clear()", 0.1), ("{0} = {0}.copy()", 0.15)),
    "dict": (("{0} = {0}.copy()", 0.15),),
    "int": (("{0} += 1", 0.35), ("{0} -= 1", 0.25), ("{0} = 0", 0.2)),
    "str": (("{0} = {0}.strip()", 0.15), ("{0} = {0}.lower()", 0.15), ('{0} = ""', 0.08)),
    "bool": (("{0} = True", 0.15), ("{0} = False", 0.15)),
}
OWN_UPDATES: dict[str, tuple[tuple[str, float], ...]] = {
    "int": (("{0} += 1", 0.3), ("{0} -= 1", 0.25)),
    "list": (("{0}.clear()", 0.12),),
    "set": (("{0}.clear()", 0.12),),
    "dict": (("{0}.clear()", 0.12),),
    "deque": (("{0}.clear()", 0.12),),
    "bool": (("{0} = True", 0.15), ("{0} = False", 0.15)),
}
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
    yield from _others(context)
    yield from _copies(context, node)


def _updates(context: Context, name: str, types: Types, *, typed: bool) -> Iterator[tuple[str, float]]:
    yield from _grown(context, name, types)
    for kind, made in PLAIN_UPDATES.items():
        if kind in types:
            for text, prior in made:
                yield text.format(name), prior
    for other in context.names:
        right = context.types.names.get(other, UNKNOWN)
        if other == name:
            continue
        if types and right and (types - {"NoneType"}) & right:
            yield f"{name} = {other}", 0.28
            if types & right & NUMBERS:
                yield f"{name} += {other}", 0.15
                yield f"{name} -= {other}", 0.12
        elif not typed or (types == {"NoneType"} and right):
            yield f"{name} = {other}", 0.12


def _grown(context: Context, name: str, types: Types) -> Iterator[tuple[str, float]]:
    elements = context.types.elements.get(name, UNKNOWN)
    for kind in sorted(types & GROWING.keys()):
        for other in context.names:
            if other != name and compatible(context.types.names.get(other, UNKNOWN), elements):
                yield f"{name}.{GROWING[kind]}({other})", 0.35


def _own(context: Context) -> Iterator[tuple[str, float]]:
    """Statements over attributes of `self`."""
    owner = context.types.names.get("self", UNKNOWN)
    for attribute, types in context.types.attributes_of(owner).items():
        target = f"self.{attribute}"
        for kind in sorted(types & OWN_UPDATES.keys()):
            for text, prior in OWN_UPDATES[kind]:
                yield text.format(target), prior
        for name in context.names:
            yield from _own_with(context, target, types, name)
    for method in context.types.methods_of(owner):
        yield f"self.{method}()", 0.08


def _others(context: Context) -> Iterator[tuple[str, float]]:
    """A count kept in an attribute of a name: `report.skipped += 1`."""
    for name in context.names:
        for attribute, types in context.types.attributes_of(context.types.names.get(name, UNKNOWN)).items():
            if types == {"int"} and not attribute.startswith("_"):
                yield f"{name}.{attribute} += 1", 0.2


def _own_with(context: Context, target: str, types: Types, name: str) -> Iterator[tuple[str, float]]:
    right = context.types.names.get(name, UNKNOWN)
    if right and compatible(types, right):
        same = target[5:].strip("_") == name.strip("_")
        yield f"{target} = {name}", 0.6 if same else 0.15
    for kind in sorted(types & GROWING.keys()):
        yield f"{target}.{GROWING[kind]}({name})", 0.25
    for kind in sorted(types & KEYED.keys()):
        for method in KEYED[kind]:
            yield f"{target}.{method}({name})", 0.15


def _copies(context: Context, node: ast.stmt) -> Iterator[tuple[str, float]]:
    """A simple statement of the unit, repeated in another place."""
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
