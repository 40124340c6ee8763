"""Indices and slices: other bounds, added and dropped slices, tolerant lookups."""

from __future__ import annotations

import ast
from typing import Iterator

from rolecall_search.program.typeinfo import NUMBERS, SEQUENCES, may_be
from rolecall_search.templates.base import Context, Proposal

INT = frozenset({"int"})
MAPPINGS = frozenset({"dict", "defaultdict", "Counter", "OrderedDict"})


def index(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """Another index; `d.get(k)`; no index at all."""
    if not isinstance(node, ast.Subscript) or isinstance(node.slice, ast.Slice):
        return
    inner = node.slice.value if type(node.slice).__name__ == "Index" else node.slice
    owner, key = context.text(node.value), context.text(inner)
    loads = isinstance(node.ctx, ast.Load)
    types = context.type_of(node.value)
    if isinstance(inner, ast.Tuple) and len(inner.elts) == 2:
        one, two = (context.text(entry) for entry in inner.elts)
        yield context.swap(inner, f"{two}, {one}", "swap indices", 0.5)
    if isinstance(node.value, ast.Subscript) and not isinstance(node.value.slice, ast.Slice):
        first = context.text(node.value.slice)
        base = context.text(node.value.value)
        yield context.swap(node, f"{base}[{key}][{first}]", "swap indices", 0.5)
    if may_be(types, SEQUENCES):
        for other in ("0", "-1", "1"):
            if key != other:
                yield context.swap(inner, other, "another index", 0.4 if key in "-10" else 0.2)
        yield context.swap(inner, f"-{context.wrapped(inner)}", "another index", 0.12)
    if loads:
        yield context.swap(node, owner, "drop an index", 0.2)
        if may_be(types, MAPPINGS):
            known = 1.0 if types else 0.4
            yield context.swap(node, f"{owner}.get({key})", "tolerant look-up", 0.35 * known)
            for default in ("0", "[]", '""', "{}", key):
                text = f"{owner}.get({key}, {default})"
                yield context.swap(node, text, "tolerant look-up", 0.2 * known)


def bounds(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """Other bounds or step of a slice."""
    if not isinstance(node, ast.Subscript) or not isinstance(node.slice, ast.Slice):
        return
    part = node.slice
    owner = context.text(node.value)
    lower = context.text(part.lower) if part.lower else ""
    upper = context.text(part.upper) if part.upper else ""
    step = context.text(part.step) if part.step else ""

    def build(low: str, high: str, by: str) -> str:
        return f"{owner}[{low}:{high}{':' + by if by else ''}]"

    texts = _slices(context, lower, upper, step)
    for low, high, by, prior in texts:
        if (low, high, by) != (lower, upper, step):
            yield context.swap(node, build(low, high, by), "slice bounds", prior)
    if isinstance(node.ctx, ast.Load):
        yield context.swap(node, owner, "drop a slice", 0.35)
        if lower and not upper:
            yield context.swap(node, f"{owner}[{lower}]", "index instead of slice", 0.2)
        if upper and not lower:
            yield context.swap(node, f"{owner}[{upper}]", "index instead of slice", 0.15)


def _slices(context: Context, lower: str, upper: str, step: str) -> Iterator[tuple[str, str, str, float]]:
    if lower.isdigit() and not upper:
        yield "", f"-{lower}", step, 0.35
    if lower:
        yield "", upper, step, 0.4
        yield lower, "-1", step, 0.15
    else:
        yield "1", upper, step, 0.35
        yield "-1", upper, step, 0.35
    if upper:
        yield lower, "", step, 0.4
    else:
        yield lower, "-1", step, 0.3
    yield upper, lower, step, 0.4
    if step:
        yield lower, upper, "", 0.3
        yield lower, upper, f"-{step}", 0.3
    else:
        yield lower, upper, "-1", 0.2
        yield lower, upper, "2", 0.1
    for text, prior in _bounds(context):
        if not lower:
            yield text, upper, step, prior
        if not upper:
            yield lower, text, step, prior


def _bounds(context: Context) -> Iterator[tuple[str, float]]:
    for name in context.names:
        types = context.types.names.get(name, frozenset())
        if may_be(types, INT):
            known = 1.0 if types else 0.4
            for text, share in ((name, 1.0), (f"{name} + 1", 0.5), (f"-{name}", 0.5)):
                yield text, 0.3 * known * share
        if types & SEQUENCES:
            yield f"len({name})", 0.13


def add_slice(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """A sequence gets a slice or an index."""
    if not isinstance(node, (ast.Name, ast.Attribute, ast.Call)):
        return
    parent = context.parent(node)
    if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        return
    if isinstance(parent, ast.Attribute) or (isinstance(parent, ast.Call) and parent.func is node):
        return
    types = context.type_of(node)
    if not may_be(types, SEQUENCES):
        return
    known = 1.0 if types else 0.35
    text = context.text(node)
    place = isinstance(parent, (ast.For, ast.Call, ast.Assign, ast.Return, ast.comprehension))
    share = known * (1.0 if place else 0.5)
    fixed = (("1:", 0.35), (":-1", 0.3), ("::-1", 0.3), ("0", 0.2), ("-1", 0.2), (":", 0.2), ("1", 0.1))
    for part, prior in fixed:
        yield context.swap(node, f"{text}[{part}]", "add a slice", prior * share)
    for name in context.names:
        kinds = context.types.names.get(name, frozenset())
        if name != text and may_be(kinds, INT):
            scale = share * (1.0 if kinds else 0.4)
            for part, prior in ((f"{name}:", 0.35), (f":{name}", 0.3), (name, 0.3), (f"{name} + 1:", 0.15)):
                yield context.swap(node, f"{text}[{part}]", "add a slice", prior * scale)


def add_key(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """A mapping gets a key."""
    if not isinstance(node, ast.Name) or not isinstance(node.ctx, ast.Load):
        return
    inner = isinstance(context.parent(node), (ast.Attribute, ast.Subscript))
    for name in context.names if context.type_of(node) & MAPPINGS and not inner else ():
        if name != node.id:
            yield context.swap(node, f"{node.id}[{name}]", "add a key", 0.15)


def keep_entry(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """An entry that is written anew takes up what is there: `d[k] = v` becomes `d[k] = d.get(k, 0) + v`."""
    if not isinstance(node, ast.Assign) or len(node.targets) != 1 or not isinstance(node.targets[0], ast.Subscript):
        return
    target, value = node.targets[0], node.value
    if isinstance(target.slice, ast.Slice) or not may_be(context.type_of(target.value), MAPPINGS):
        return
    owner, key = context.text(target.value), context.text(target.slice)
    if isinstance(value, ast.Dict) and len(value.keys) == 1 and value.keys[0] is not None:
        inner, held = context.text(value.keys[0]), context.text(value.values[0])
        made = f"{owner}.setdefault({key}, {{}})[{inner}] = {held}"
        yield context.swap(node, made, "add to an entry", 0.5)
    elif isinstance(value, ast.List) and len(value.elts) == 1:
        made = f"{owner}.setdefault({key}, []).append({context.text(value.elts[0])})"
        yield context.swap(node, made, "add to an entry", 0.5)
    elif context.loop_of(node) is not None and may_be(context.type_of(value), NUMBERS):
        made = f"{owner}[{key}] = {owner}.get({key}, 0) + {context.wrapped(value)}"
        yield context.swap(node, made, "add to an entry", 0.35)


FAMILY = (index, bounds, add_slice, add_key, keep_entry)
