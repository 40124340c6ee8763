"""Candidates drawn from nearby code: exchanged parts of a statement, and what the file does elsewhere.

Owns the comparison with other statements and calls of the file. It knows no library.
"""

from __future__ import annotations

import ast
from itertools import combinations
from typing import Iterator

from rolecall_search.program.source import FUNCTION_TYPES, SIMPLE_STATEMENTS, Edit, is_chain
from rolecall_search.program.typeinfo import NUMBERS, SIZED, compatible, may_be
from rolecall_search.templates.base import BUILTIN_NAMES, FILLING, Context, Proposal

MOST_LEAVES = 14
MOST_DONORS = 40
SAME_TEXT = 0.35
"""The prior of a call that stands elsewhere in the file with the same value."""
CLOCK = ("hour", "minute", "second", "microsecond")
TEXT_MARKS = ("lower()", "upper()", "strip()", "casefold()")


def own_parts(statement: ast.AST) -> Iterator[ast.AST]:
    """The expressions of a statement without those of the statements in its body."""
    todo = [child for child in ast.iter_child_nodes(statement) if isinstance(child, (ast.expr, ast.keyword))]
    while todo:
        node = todo.pop(0)
        yield node
        todo += [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.stmt)]


def leaves(context: Context, statement: ast.stmt) -> list[ast.AST]:
    """Names and attribute chains that a statement reads, outermost, without what it calls."""
    found = []
    for node in own_parts(statement):
        if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
            parent = context.parent(node)
            called = isinstance(parent, ast.Call) and parent.func is node
            if not called and not isinstance(parent, ast.Attribute) and is_chain(node):
                found.append(node)
    return sorted(found, key=lambda node: (node.lineno, node.col_offset))[:MOST_LEAVES]


def exchange(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """Two names of one statement exchanged wherever they occur in it."""
    if not isinstance(node, ast.stmt) or isinstance(node, (*FUNCTION_TYPES, ast.ClassDef)):
        return
    found = leaves(context, node)
    for one, other in combinations(found, 2):
        first, second = context.text(one), context.text(other)
        if first == second or not compatible(context.type_of(one), context.type_of(other)):
            continue
        alike = type(context.parent(one)) is type(context.parent(other))
        edits = (Edit(*context.src.span(one), second), Edit(*context.src.span(other), first))
        yield Proposal(edits, "swap two names", 0.4 if alike else 0.2)
    called = [part for part in own_parts(node) if isinstance(part, ast.Call) and isinstance(part.func, ast.Name)]
    for one, other in combinations(called[:6], 2):
        first, second = context.text(one.func), context.text(other.func)
        if first != second:
            edits = (Edit(*context.src.span(one.func), second), Edit(*context.src.span(other.func), first))
            yield Proposal(edits, "exchange two functions", 0.25)
    yield from _moved_call(context, node)


def _moved_call(context: Context, statement: ast.stmt) -> Iterator[Proposal]:
    """`f(x)` beside `y` becomes `x` beside `f(y)`."""
    found = leaves(context, statement)
    for call in own_parts(statement):
        if (
            not isinstance(call, ast.Call)
            or len(call.args) != 1
            or call.keywords
            or not isinstance(call.func, ast.Name)
        ):
            continue
        inner, name = context.text(call.args[0]), context.text(call.func)
        start, end = context.src.span(call)
        for leaf in found:
            span = context.src.span(leaf)
            if span[1] <= start or span[0] >= end:
                edits = (Edit(start, end, inner), Edit(*span, f"{name}({context.text(leaf)})"))
                yield Proposal(edits, "move a call", 0.2)


def everywhere(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """Every use of a name in a statement gets the same method: `f(x, x)` becomes `f(x.lower(), x.lower())`."""
    if not isinstance(node, SIMPLE_STATEMENTS):
        return
    places: dict[str, list[tuple[int, int]]] = {}
    for leaf in leaves(context, node):
        if "str" in context.type_of(leaf) or not context.type_of(leaf):
            places.setdefault(context.text(leaf), []).append(context.src.span(leaf))
    for text, spans in places.items():
        for mark in TEXT_MARKS[:3] if len(spans) > 1 else ():
            edits = tuple(Edit(start, end, f"{text}.{mark}") for start, end in spans)
            yield Proposal(edits, "add a method call everywhere", 0.3)


def same_method(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """A value gets the argument-less method, or the function, that others get in this statement or file."""
    if not isinstance(node, (ast.Name, ast.Attribute, ast.Subscript, ast.Call)):
        return
    parent = context.parent(node)
    kept = not isinstance(parent, (ast.Attribute, ast.Expr, ast.JoinedStr))
    if not kept or not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        return
    if isinstance(parent, ast.Call) and parent.func is node:
        return
    text = context.text(node)
    types = context.type_of(node)
    here = context.src.plain_calls(context.statement(node))
    methods, functions = context.src.plain_calls(context.src.tree)
    for call, count in methods.items():
        if text.endswith(f".{call}") or (types and not _takes(types, call.partition("(")[0], context)):
            continue
        prior = 0.6 if call in here[0] else 0.12 + 0.02 * min(5, count)
        prior *= 1.0 if call.endswith("()") else 0.7
        prior = max(prior, SAME_TEXT if f"{text}.{call}" in context.src.text else 0.0)
        yield context.swap(node, f"{context.wrapped(node)}.{call}", "method used elsewhere", prior * _known(types))
    for name, count in functions.items():
        if text.startswith(f"{name}(") or name.startswith(f"{text}."):
            continue
        if "." in name and not _seen_on(context, name, types):
            continue
        prior = 0.35 if name in here[1] else 0.12 + 0.02 * min(5, count)
        prior = max(prior, SAME_TEXT if f"{name}({text})" in context.src.text else 0.0)
        yield context.swap(node, f"{name}({text})", "function used elsewhere", prior)


def _seen_on(context: Context, name: str, types: frozenset[str]) -> bool:
    """Whether a function with a dotted name is a sibling, or one of a class or a module that takes such a value."""
    owner = name.partition(".")[0]
    if owner not in ("self", "cls", *context.globals):
        return False
    return owner not in ("self", "cls") or not types & {"NoneType", "bool", "list", "dict", "set"}


def _known(types: frozenset[str]) -> float:
    return 1.0 if types else 0.6


def _takes(types: frozenset[str], name: str, context: Context) -> bool:
    plain: dict[str, type] = {"str": str, "list": list, "dict": dict, "set": set, "bytes": bytes, "tuple": tuple,
                              "int": int, "float": float, "frozenset": frozenset}  # fmt: skip
    own = context.types.methods_of(types)
    return name in own or any(hasattr(plain[kind], name) for kind in types if kind in plain) or not types & set(plain)


def same_keyword(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """A call gets a keyword argument that a call of the same name has elsewhere in the file."""
    if not isinstance(node, ast.Call):
        return
    name = getattr(node.func, "attr", None) or getattr(node.func, "id", "")
    given = {keyword.arg for keyword in node.keywords}
    inner = [context.text(part) for part in (*node.args, *node.keywords)]
    called = context.text(node.func)
    seen = set()
    for other in context.src.calls.get(name, ()):
        for keyword in other.keywords:
            text = context.text(keyword)
            if keyword.arg and keyword.arg not in given and text not in seen:
                seen.add(text)
                yield context.swap(node, f"{called}({', '.join([*inner, text])})", "add an option", 0.4)
    # Fields of a date or time set to nothing go together.
    if name == "replace" and given & set(CLOCK):
        at = min(CLOCK.index(field) for field in given if field in CLOCK)
        for field in CLOCK[max(0, at - 1) :]:
            if field not in given and field not in seen:
                yield context.swap(node, f"{called}({', '.join([f'{field}=0', *inner])})", "add an option", 0.4)


def donors(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """A statement of the same class or file, repeated here or replacing a shorter one like it."""
    if not isinstance(node, ast.stmt) or context.unit is None or not context.own_line(node):
        return
    if isinstance(node, (*FUNCTION_TYPES, ast.ClassDef, ast.ExceptHandler)):
        return
    text = context.text(node)
    known = set(context.names) | set(context.globals) | {"self", "cls"} | BUILTIN_NAMES
    count = 0
    for other in context.src.statements:
        made = context.text(other)
        if made == text or count > MOST_DONORS:
            continue
        if not {part.id for part in ast.walk(other) if isinstance(part, ast.Name)} <= known:
            continue
        if isinstance(node, SIMPLE_STATEMENTS) and text in made:
            yield context.swap(node, made, "longer statement used elsewhere", 0.6)
        if isinstance(other, ast.Expr) and isinstance(other.value, ast.Call) and not _inside(context, other):
            count += 1
            yield Proposal((context.before(node, [made]),), "insert a statement", 0.18)
            if context.block_of(node)[-1] is node and not isinstance(node, (ast.Return, ast.Raise)):
                yield Proposal((context.after(node, [made]),), "insert a statement", 0.18)


def _inside(context: Context, other: ast.stmt) -> bool:
    """Whether a statement is in the unit itself, whose statements are copied elsewhere."""
    assert context.unit is not None
    return context.unit.node.lineno <= other.lineno <= (context.unit.node.end_lineno or 0)


def remembered(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """Store what a function looks up: `seen.add(x)` after `if x not in seen`, `known[k] = v` before a return."""
    if not isinstance(node, ast.stmt) or context.unit is None or not context.own_line(node):
        return
    if isinstance(node, (*FUNCTION_TYPES, ast.ClassDef)):
        return
    grown = {"set": "add", "list": "append", "deque": "append"}
    last = context.block_of(node)[-1] is node and not isinstance(node, (ast.Return, ast.Raise, ast.Continue, ast.Break))
    seen: set[str] = set()
    for part in ast.walk(context.unit.node):
        if isinstance(part, ast.Compare) and isinstance(part.ops[0], (ast.In, ast.NotIn)):
            holder, key = part.comparators[0], part.left
            types = context.type_of(holder)
            texts = [
                f"{context.text(holder)}.{grown[kind]}({context.text(key)})" for kind in sorted(types & grown.keys())
            ]
            if types & {"dict", "defaultdict"} or not types:
                owned = context.types.attributes_of(context.types.names.get("self", frozenset()))
                values = [*context.names, *(f"self.{name}" for name, own in owned.items() if own & NUMBERS)]
                texts += [f"{context.text(holder)}[{context.text(key)}] = {value}" for value in values]
            prior = 0.2 if _is_filled(context, context.text(holder)) else 0.5
            for text in texts:
                if text not in seen:
                    seen.add(text)
                    yield Proposal((context.before(node, [text]),), "store the lookup", prior)
                    if last:
                        yield Proposal((context.after(node, [text]),), "store the lookup", prior)


def _is_filled(context: Context, holder: str) -> bool:
    """Whether the unit puts something into a container."""
    assert context.unit is not None
    owned = [
        node for node in ast.walk(context.unit.node)
        if isinstance(node, (ast.Subscript, ast.Attribute)) and context.text(node.value) == holder
    ]  # fmt: skip
    return any(isinstance(node.ctx, ast.Store) or getattr(node, "attr", "") in FILLING for node in owned)


def known_already(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """A function that stores what it makes gives back what is stored: `if k in known: return known[k]`."""
    if not isinstance(node, ast.stmt) or context.unit is None or not context.own_line(node):
        return
    body = [entry for entry in context.unit.node.body if not isinstance(getattr(entry, "value", None), ast.Constant)]
    if not body or body[0] is not node:
        return
    arguments = {arg.arg for arg in ast.walk(context.unit.node.args) if isinstance(arg, ast.arg)}
    for part in ast.walk(context.unit.node):
        target = part.targets[0] if isinstance(part, ast.Assign) else None
        if isinstance(target, ast.Subscript) and getattr(target.slice, "id", "") in arguments:
            holder, key = context.text(target.value), context.text(target.slice)
            lines = [f"if {key} in {holder}:", f"    return {holder}[{key}]"]
            yield Proposal((context.before(node, lines),), "early exit", 0.4)


def combined(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """What is assigned is joined with what was there by a function of the file: `x = y` becomes `x = join(x, y)`."""
    if not isinstance(node, ast.Assign) or len(node.targets) != 1 or isinstance(node.targets[0], ast.Tuple):
        return
    target, value = context.text(node.targets[0]), context.text(node.value)
    if not compatible(context.type_of(node.targets[0]), context.type_of(node.value)):
        return
    twofold = [name for name in context.globals if name in context.src.calls or name in context.src.functions]
    for name in twofold:
        function = context.src.functions.get(name)
        if function is None or len(function.args.args) == 2:
            prior = 0.15 if function is not None else 0.1
            yield context.swap(node.value, f"{name}({target}, {value})", "join with what is there", prior)


def bounds_lost(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """`x < y` becomes `0 <= x < y`, for one comparison of a statement and for all."""
    if not isinstance(node, ast.stmt):
        return
    root = getattr(node, "test", None) or getattr(node, "value", None)
    found = [
        inner
        for inner in (ast.walk(root) if isinstance(root, ast.AST) else ())
        if isinstance(inner, ast.Compare) and len(inner.ops) == 1 and isinstance(inner.ops[0], (ast.Lt, ast.LtE))
    ]
    found = [inner for inner in found if may_be(context.type_of(inner.left), NUMBERS)]
    groups = [*([inner] for inner in found), *([found] if len(found) > 1 else [])]
    for group in groups:
        for bound in ("0 <=", "1 <=", "0 <"):
            starts = [context.src.span(inner.left)[0] for inner in group]
            edits = tuple(Edit(start, start, f"{bound} ") for start in starts)
            yield Proposal(edits, "lower bound", 0.35 if bound == "0 <=" else 0.12)


def both_compared(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """`(a.x, a.y) == (b.x, b.y)` compares one more attribute."""
    if not isinstance(node, ast.Compare) or len(node.ops) != 1:
        return
    sides = [node.left, node.comparators[0]]
    if not all(isinstance(side, ast.Tuple) and side.elts for side in sides):
        return
    last = [side.elts[-1] for side in sides]
    if not all(isinstance(entry, ast.Attribute) for entry in last):
        return
    owners = [entry.value for entry in last]
    given = {entry.attr for entry in sides[0].elts if isinstance(entry, ast.Attribute)}
    for name in context.types.attributes_of(context.type_of(owners[0])):
        if name not in given:
            ends = [context.src.span(entry)[1] for entry in last]
            edits = tuple(Edit(end, end, f", {context.text(owner)}.{name}") for end, owner in zip(ends, owners))
            yield Proposal(edits, "compare another attribute", 0.3)


def same_operand(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """A value gets the operand that another value of the file gets: `+ step`, `% 7`, `- total(paid)`."""
    if not isinstance(node, (ast.Name, ast.Attribute, ast.Subscript, ast.Call, ast.BinOp)) or context.unit is None:
        return
    parent = context.parent(node)
    places = (ast.Return, ast.Assign, ast.Compare, ast.Call, ast.keyword, ast.GeneratorExp, ast.SetComp, ast.ListComp)
    is_target = not isinstance(getattr(node, "ctx", ast.Load()), ast.Load)
    if is_target or not isinstance(parent, places) or (isinstance(parent, ast.Call) and parent.func is node):
        return
    types, text = context.type_of(node), context.text(node)
    known = set(context.names) | set(context.globals) | {"self", "cls"} | BUILTIN_NAMES
    for made, prior in _same_of_others(context, node):
        yield context.swap(node, f"{text} {made}", "the operand others get", prior, tight=False)
    for made, other in context.src.operands():
        names = {part.id for part in ast.walk(other) if isinstance(part, ast.Name)}
        fits = names <= known and f" {made}" not in f" {text}" and compatible(types, context.type_of(other))
        if fits and (made.startswith("%") or not isinstance(other, ast.Constant)):
            yield context.swap(node, f"{text} {made}", "the operand others get", 0.2, tight=False)


def _same_of_others(context: Context, node: ast.AST) -> Iterator[tuple[str, float]]:
    """In a sum of calls, the same function of an own attribute that the sum leaves out: `- total(self.paid)`."""
    owned = context.types.attributes_of(context.types.names.get("self", frozenset()))
    text = context.text(node)
    functions = context.src.plain_calls(node)[1] if isinstance(node, ast.BinOp) else {}
    for function in functions:
        for name, kinds in owned.items():
            if kinds & SIZED - {"str"} and f"self.{name}" not in text:
                yield f"- {function}(self.{name})", 0.15
                yield f"+ {function}(self.{name})", 0.15


def distributed(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """`f(a + b)` becomes `f(a) + f(b)`."""
    if not isinstance(node, ast.Call) or len(node.args) != 1 or node.keywords:
        return
    terms: list[ast.AST] = []
    at: ast.AST = node.args[0]
    while isinstance(at, ast.BinOp) and isinstance(at.op, (ast.Add, ast.Sub)):
        if isinstance(at.op, ast.Add):
            terms.append(at)
        at = at.left
    if not terms:
        return
    called = context.text(node.func)
    end = context.src.span(node.args[0])[1]
    parts = []
    for term in terms:
        assert isinstance(term, ast.BinOp)
        start = context.src.span(term.right)[0]
        parts.append(context.src.text[start:end])
        end = context.src.span(term.left)[1]
    parts.append(context.src.text[context.src.span(node.args[0])[0] : end])
    text = " + ".join(f"{called}({part})" for part in reversed(parts))
    yield context.swap(node, text, "distribute a call", 0.2, tight=False)


FAMILY = (
    bounds_lost, both_compared, distributed, exchange, everywhere, same_method, same_keyword, same_operand, donors,
    remembered, known_already, combined,
)  # fmt: skip
