"""Statements: inserted, deleted, moved, swapped; returned values; loop exits."""

from __future__ import annotations

import ast
from typing import Iterator

from rolecall_search.program.source import FUNCTION_TYPES, Edit, blocks_of
from rolecall_search.program.typeinfo import UNKNOWN
from rolecall_search.templates.base import Context, Proposal
from rolecall_search.templates.conditions import pair_guards, plural_guards, read_attributes, simple_guards

COMPOUND = (ast.If, ast.For, ast.While, ast.With, ast.Try, *FUNCTION_TYPES, ast.ClassDef)


EMPTY_VALUES: dict[str, tuple[tuple[str, float], ...]] = {
    "list": (("[]", 0.5),),
    "dict": (("{}", 0.5),),
    "str": (('""', 0.5),),
    "int": (("0", 0.5), ("1", 0.3), ("-1", 0.25)),
    "float": (("0.0", 0.5),),
    "set": (("set()", 0.5),),
    "bool": (("False", 0.5), ("True", 0.4)),
    "tuple": (("()", 0.5),),
    "NoneType": (("None", 0.5),),
}


def delete(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """One statement fewer."""
    if not isinstance(node, ast.stmt) or isinstance(node, (*FUNCTION_TYPES, ast.ClassDef)):
        return
    if isinstance(node, (ast.Import, ast.ImportFrom, ast.Pass)) or is_docstring(context, node):
        return
    prior = 0.3
    if isinstance(node, (ast.Return, ast.Raise)):
        prior = 0.2
    if isinstance(node, (ast.Break, ast.Continue)):
        prior = 0.45
    if isinstance(node, ast.If) and len(node.body) == 1 and not node.orelse:
        prior = 0.25
    elif isinstance(node, COMPOUND):
        prior = 0.06
    if len(context.block_of(node)) == 1 or not context.own_line(node):
        yield context.swap(node, "pass", "delete a statement", prior)
    else:
        start, end = context.whole_lines(node)
        yield Proposal((Edit(start, end, ""),), "delete a statement", prior)


def unwrap_block(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """An `if` disappears and its body stays, or its `else` does."""
    if not isinstance(node, ast.If) or not context.own_line(node):
        return
    if context.src.text[context.src.span(node)[0] :].startswith("elif"):
        return
    start, end = context.whole_lines(node)
    body = reindent(context, node.body, context.src.indent(node.lineno))
    if body:
        yield Proposal((Edit(start, end, body),), "drop a condition, keep its body", 0.2)
    if node.orelse and not isinstance(node.orelse[0], ast.If):
        body = reindent(context, node.orelse, context.src.indent(node.lineno))
        yield Proposal((Edit(start, end, body),), "keep the else branch", 0.1)


def reindent(context: Context, body: list[ast.stmt], indent: str) -> str:
    """The lines of a block at another indentation; empty when they share a line with its header."""
    if not body or not all(context.own_line(statement) for statement in body):
        return ""
    first = context.whole_lines(body[0])[0]
    last = context.whole_lines(body[-1])[1]
    old = context.src.indent(body[0].lineno)
    lines = context.src.text[first:last].splitlines(keepends=True)
    return "".join(indent + line[len(old) :] if line.startswith(old) else line for line in lines)


def move(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """Swap with the next statement; leave a block; enter the block before."""
    if not isinstance(node, ast.stmt) or not context.own_line(node):
        return
    block = context.block_of(node)
    at = next((i for i, entry in enumerate(block) if entry is node), None)
    if at is None or isinstance(node, (ast.Import, ast.ImportFrom)):
        return
    if at + 1 < len(block) and context.own_line(block[at + 1]) and not is_docstring(context, node):
        yield from _swap_with(context, node, block[at + 1])
    parent = context.parent(node)
    if at == len(block) - 1 and len(block) > 1 and isinstance(parent, COMPOUND[:5]):
        yield from _leave(context, node, parent)
    leaves = isinstance(block[-1], (ast.Continue, ast.Break)) and context.own_line(block[-1])
    if at == len(block) - 2 and leaves and isinstance(parent, ast.If):
        yield from _leave(context, node, parent)
    if at > 0 and isinstance(block[at - 1], COMPOUND[:5]):
        yield from _enter(context, node, block[at - 1])
    if at > 0 and isinstance(node, ast.Return):
        yield from _first(context, node, block[at - 1])


def _swap_with(context: Context, node: ast.stmt, after: ast.stmt) -> Iterator[Proposal]:
    first, middle = context.whole_lines(node)
    start, end = context.whole_lines(after)
    between = context.src.text[middle:start]
    text = context.src.text
    if not text[start:end].endswith(("\n", "\r")):
        return
    made = text[start:end] + between + text[first:middle]
    prior = 0.15 if isinstance(after, COMPOUND) and isinstance(node, COMPOUND) else 0.35
    yield Proposal((Edit(first, end, made),), "swap statements", prior)


def _leave(context: Context, node: ast.stmt, parent: ast.stmt) -> Iterator[Proposal]:
    made = reindent(context, [node], context.src.indent(parent.lineno))
    start, end = context.whole_lines(node)
    at = context.whole_lines(parent)[1]
    if end == at:
        yield Proposal((Edit(start, end, made),), "move out of a block", 0.4)
    else:
        edits = (Edit(start, end, ""), Edit(at, at, made))
        yield Proposal(edits, "move out of a block", 0.3)


def _enter(context: Context, node: ast.stmt, before: ast.stmt) -> Iterator[Proposal]:
    start, end = context.whole_lines(node)
    for block in blocks_of(before):
        last = block[-1]
        if context.own_line(last):
            made = reindent(context, [node], context.src.indent(last.lineno))
            at = context.whole_lines(last)[1]
            if at == start:
                yield Proposal((Edit(start, end, made),), "move into a block", 0.35)
            else:
                edits = (Edit(at, at, made), Edit(start, end, ""))
                yield Proposal(edits, "move into a block", 0.25)


def _first(context: Context, node: ast.stmt, before: ast.stmt) -> Iterator[Proposal]:
    if isinstance(before, (ast.For, ast.While)):
        start, end = context.whole_lines(node)
        text = context.src.text[start:end]
        at = context.whole_lines(before)[0]
        yield Proposal((Edit(at, at, text), Edit(start, end, "")), "move before a loop", 0.05)


def exits(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """`break`, `continue` and `return` for one another, or added at the end of a branch."""
    if isinstance(node, ast.Break):
        yield context.swap(node, "continue", "another loop exit", 0.7)
        yield context.swap(node, "return", "another loop exit", 0.2)
    elif isinstance(node, ast.Continue):
        yield context.swap(node, "break", "another loop exit", 0.7)
    elif isinstance(node, ast.Pass) and context.loop_of(node) is not None:
        yield context.swap(node, "break", "another loop exit", 0.3)
        yield context.swap(node, "continue", "another loop exit", 0.3)
    elif isinstance(node, ast.Return) and context.loop_of(node) is not None:
        yield context.swap(node, "break", "another loop exit", 0.12)
        yield context.swap(node, "continue", "another loop exit", 0.15)


def added_exits(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """A loop exit at the end of a branch; a loop without its `else`."""
    if isinstance(node, ast.If) and context.loop_of(node) is not None:
        last = node.body[-1]
        leaves = isinstance(last, (ast.Break, ast.Continue, ast.Return, ast.Raise))
        for word in ("break", "continue", "return") if context.own_line(last) and not leaves else ():
            yield Proposal((context.after(last, [word]),), "add a loop exit", 0.3)
    if isinstance(node, (ast.For, ast.While)) and node.orelse:
        end = context.whole_lines(node.orelse[-1])[1]
        body = reindent(context, node.orelse, context.src.indent(node.lineno))
        at = context.whole_lines(node.body[-1])[1]
        if body:
            yield Proposal((Edit(at, end, body),), "drop the else of a loop", 0.25)


def dropped(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """A value that is thrown away is returned, yielded, raised or kept."""
    kinds = (ast.Call, ast.Name, ast.BinOp, ast.Await, ast.Compare)
    if not isinstance(node, ast.Expr) or not isinstance(node.value, kinds):
        return
    text = context.text(node.value)
    yield context.swap(node, f"return {text}", "missing return", 0.45)
    if isinstance(node.value, ast.Call):
        yield context.swap(node, f"yield from {text}", "yield from", 0.3)
        yield context.swap(node, f"yield {text}", "yield", 0.1)
        yield from _raised(context, node.value)
        yield from _kept(context, node)


def returned(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """Another returned value."""
    if not isinstance(node, ast.Return):
        return
    for name in context.names:
        types = context.types.names.get(name, UNKNOWN)
        known = 0.35 if types & context.types.results else 0.22
        yield _return(context, node, name, known)
    for value in ("None", "True", "False", "0", "[]", '""', "{}", "1", "-1", "self"):
        prior = 0.2 if value in ("True", "False", "None") else 0.1
        yield _return(context, node, value, prior)
    kinds = context.type_of(node.value) if node.value is not None else UNKNOWN
    if kinds & {"bool"} or isinstance(node.value, ast.Constant):
        for name in context.names:
            types = context.types.names.get(name, UNKNOWN)
            for guard, prior in simple_guards(name, types, none_errors=False):
                yield _return(context, node, guard, 0.9 * prior)
    if node.value is not None:
        text = context.text(node.value)
        yield context.swap(node, f"yield {text}", "yield instead of return", 0.12)
        yield context.swap(node, f"yield from {text}", "yield from instead of return", 0.15)


def _return(context: Context, node: ast.Return, value: str, prior: float) -> Proposal:
    return context.swap(node, f"return {value}", "another returned value", prior)


def _raised(context: Context, call: ast.Call) -> Iterator[Proposal]:
    name = getattr(call.func, "id", "")
    if name.endswith(("Error", "Exception")):
        yield context.swap(call, f"raise {context.text(call)}", "missing raise", 0.9)


def _kept(context: Context, node: ast.Expr) -> Iterator[Proposal]:
    """The result of a call is kept: `x.strip()` becomes `x = x.strip()`."""
    call = node.value
    assert isinstance(call, ast.Call)
    text = context.text(call)
    owners = [call.func.value] if isinstance(call.func, ast.Attribute) else []
    for target in [*owners, *call.args]:
        if isinstance(target, (ast.Name, ast.Attribute, ast.Subscript)):
            made = f"{context.text(target)} = {text}"
            yield context.swap(node, made, "keep a result", 0.45)
    for name in context.names:
        yield context.swap(node, f"{name} = {text}", "keep a result", 0.12)
        yield context.swap(node, f"{name} += {text}", "keep a result", 0.08)


def assigned(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """Another form of an assignment."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        call = node.value
        if isinstance(call.func, ast.Attribute) and len(call.args) == 1:
            target, value = context.text(call.func.value), context.text(call.args[0])
            if call.func.attr in ("update", "extend", "append", "add"):
                yield context.swap(node, f"{target} = {value}", "assign instead of update", 0.4)
                yield context.swap(node, f"{target} += {value}", "accumulate", 0.15)
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
        value = context.text(node.value)
        yield from _merged(context, node, target)
        if isinstance(target, (ast.Name, ast.Attribute, ast.Subscript)):
            text = context.text(target)
            for method in ("append", "extend", "add", "update"):
                made = f"{text}.{method}({value})"
                yield context.swap(node, made, "update instead of assign", 0.08)
            made = f"return {value}"
            yield context.swap(node, made, "return instead of assign", 0.12)
        if isinstance(target, ast.Name):
            owner = context.types.attributes_of(context.types.names.get("self", UNKNOWN))
            prior = 0.6 if target.id in owner or f"_{target.id}" in owner else 0.12
            yield context.swap(target, f"self.{target.id}", "assign an attribute", prior)
        if isinstance(target, ast.Subscript):
            yield from _other_target(context, target)


def _merged(context: Context, node: ast.Assign, target: ast.expr) -> Iterator[Proposal]:
    """In a loop, a container that is recreated is updated instead: `x = set(y)` becomes `x.update(y)`."""
    call = node.value
    kinds = {"set": "update", "dict": "update", "list": "extend"}
    if not isinstance(call, ast.Call) or len(call.args) != 1 or context.loop_of(node) is None:
        return
    method = kinds.get(context.text(call.func))
    if method is not None:
        made = f"{context.text(target)}.{method}({context.text(call.args[0])})"
        yield context.swap(node, made, "update instead of assign", 0.5)


def _other_target(context: Context, target: ast.Subscript) -> Iterator[Proposal]:
    """`a[k]` becomes `b[j]` for names in scope of container types."""
    keys = [context.text(target.slice)]
    if isinstance(target.slice, ast.Tuple):
        keys += [context.text(entry) for entry in target.slice.elts]
    for name in context.names:
        types = context.types.names.get(name, UNKNOWN)
        if types and not types & {"dict", "list", "defaultdict", "Counter", "OrderedDict"}:
            continue
        for key in keys:
            text = f"{name}[{key}]"
            if text != context.text(target):
                yield context.swap(target, text, "another target", 0.35 if types else 0.15)


def is_docstring(context: Context, node: ast.AST) -> bool:
    """Whether a statement is just a string."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def early_exits(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """`if guard: return/continue/raise` before a statement, or a statement put under a guard."""
    if not isinstance(node, ast.stmt) or not context.own_line(node) or context.unit is None:
        return
    if isinstance(node, (*FUNCTION_TYPES, ast.ClassDef, ast.Pass)) or is_docstring(context, node):
        return
    if _is_elif(context, node):
        return
    used = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
    first = _is_first(context, node)
    share = 1.0 if first else 0.45
    for guard, prior in _guards(context, node, used):
        for text, weight in _leaving(context, node):
            edit = context.before(node, [f"if {guard}:", f"    {text}"])
            kind = "early exit on a type" if "isinstance(" in guard else "early exit"
            yield Proposal((edit,), kind, prior * weight * share)
        yield from _put_under(context, node, guard, prior)


def _kind_guards(context: Context, node: ast.stmt, used: set[str]) -> Iterator[tuple[str, float]]:
    """Tests for an imported type that is used nowhere or, where a value had the wrong type, for any imported one."""
    crashed = context.crashed(node, "AttributeError") or context.crashed(node, "TypeError")
    for kind in context.globals:
        if kind[:1].isupper() and not kind.isupper() and (crashed or kind in context.unused):
            for name in sorted(used & set(context.names)):
                yield f"not isinstance({name}, {kind})", 0.5 if kind in context.unused else 0.4
                yield f"isinstance({name}, {kind})", 0.2


def _guards(context: Context, node: ast.stmt, used: set[str]) -> Iterator[tuple[str, float]]:
    none_errors = bool(context.hints.errors & {"AttributeError", "TypeError"})
    for name in context.names:
        types = context.types.names.get(name, UNKNOWN)
        near = 1.0 if name in used else 0.4
        for guard, prior in simple_guards(name, types, none_errors=none_errors):
            yield guard, prior * near
    yield from _kind_guards(context, node, used)
    yield from plural_guards(context)
    if context.hints.wanted_errors or context.loop_of(node) is not None:
        for guard, prior in pair_guards(context, used):
            yield guard, 0.8 * prior
    for text, types in read_attributes(context):
        for guard, prior in simple_guards(text, types, none_errors=none_errors):
            yield guard, prior * 0.6


def _leaving(context: Context, node: ast.stmt) -> Iterator[tuple[str, float]]:
    """Statements that exit, with values of the types the function returned."""
    results = context.types.results
    for kind in sorted(results & EMPTY_VALUES.keys()):
        for value, prior in EMPTY_VALUES[kind]:
            yield f"return {value}", prior
    yield "return", 0.35 if not results or "NoneType" in results else 0.2
    for name in context.names[:8]:
        if not results or "list" in results:
            yield f"return {name}", 0.2
        elif context.types.names.get(name, UNKNOWN) & results:
            yield f"return {name}", 0.35
    if context.loop_of(node) is not None:
        yield "continue", 0.45
        yield "break", 0.35
    for error in context.hints.wanted_errors[:3]:
        yield f'raise {error}("invalid value")', 0.6


def _put_under(context: Context, node: ast.stmt, guard: str, prior: float) -> Iterator[Proposal]:
    start, end = context.whole_lines(node)
    indent = context.src.indent(node.lineno)
    lines = context.src.text[start:end].splitlines(keepends=True)
    body = "".join("    " + line if line.strip() else line for line in lines)
    text = f"{indent}if {guard}:{context.newline()}{body}"
    yield Proposal((Edit(start, end, text),), "guard a statement", prior * 0.3)


def _is_first(context: Context, node: ast.stmt) -> bool:
    parent = context.parent(node)
    body = getattr(parent, "body", [])
    real = [entry for entry in body if not is_docstring(context, entry)] if body else []
    return isinstance(parent, FUNCTION_TYPES) and bool(real) and real[0] is node


def _is_elif(context: Context, node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and context.text(node).startswith("elif")


def loop_target(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """The iterable of a loop: copied, reversed, enumerated, of items."""
    if not isinstance(node, (ast.For, ast.comprehension)):
        return
    text = context.text(node.iter)
    target = node.target
    pair = isinstance(target, ast.Tuple) and len(target.elts) == 2
    for made, prior in (
        (f"list({text})", 0.25), (f"reversed({text})", 0.25), (f"sorted({text})", 0.25),
        (f"enumerate({text})", 0.4 if pair else 0.05), (f"{text}.items()", 0.4 if pair else 0.05),
        (f"zip({text}, {text}[1:])", 0.1 if pair else 0.0), (f"range(len({text}))", 0.15),
    ):  # fmt: skip
        if prior:
            yield context.swap(node.iter, made, "another iterable", prior)


FAMILY = (delete, unwrap_block, move, exits, added_exits, dropped, returned, assigned, early_exits, loop_target)
