"""Function headers: defaults, decorators and the scope of assignments; methods that nothing uses."""

from __future__ import annotations

import ast
import re
from typing import Iterator, Optional

from rolecall_search.program.source import FUNCTION_TYPES, Edit, FunctionNode
from rolecall_search.templates.base import Context, Proposal

DECORATORS = ("property", "staticmethod", "classmethod")
UNUSED_PRIOR = 1.2
EMPTY = ("[]", "{}", "set()", "list()", "dict()")


def defaults(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """A mutable default created per call; other defaults."""
    if not isinstance(node, FUNCTION_TYPES):
        return
    for name, default in with_defaults(node):
        text = context.text(default)
        if text in EMPTY or isinstance(default, (ast.List, ast.Dict, ast.Set)):
            proposal = _fresh_default(context, node, name, default)
            if proposal is not None:
                yield proposal
        if isinstance(default, ast.Constant):
            for other in ("None", "True", "False", "0", "1", '""', "()", "-1"):
                if other != text:
                    yield context.swap(default, other, "another default", 0.25)


def with_defaults(node: FunctionNode) -> Iterator[tuple[str, ast.expr]]:
    """Parameters and their defaults."""
    plain = [*node.args.posonlyargs, *node.args.args]
    for arg, default in zip(plain[len(plain) - len(node.args.defaults) :], node.args.defaults):
        yield arg.arg, default
    for arg, keyword_default in zip(node.args.kwonlyargs, node.args.kw_defaults):
        if keyword_default is not None:
            yield arg.arg, keyword_default


def _fresh_default(context: Context, node: FunctionNode, name: str, default: ast.expr) -> Optional[Proposal]:
    body = [entry for entry in node.body if not isinstance(getattr(entry, "value", None), ast.Constant)]
    if not body or not context.own_line(body[0]):
        return None
    start, end = context.src.span(default)
    made = context.before(body[0], [f"if {name} is None:", f"    {name} = {context.text(default)}"])
    return Proposal((Edit(start, end, "None"), made), "mutable default", 1.5)


def factories(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """`default_factory=...` creates a new container each time."""
    if isinstance(node, ast.keyword) and node.arg == "default_factory":
        for name in ("list", "dict", "set"):
            if context.text(node.value) != name:
                share = 2.0 if isinstance(node.value, ast.Lambda) else 1.0
                yield context.swap(node.value, name, "mutable default", 0.3 * share)


def decorators(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """One decorator fewer or more."""
    if not isinstance(node, FUNCTION_TYPES):
        return
    for decorator in node.decorator_list:
        line = decorator.lineno
        starts = context.src.line_starts
        edit = Edit(starts[line - 1], starts[decorator.end_lineno or line], "")
        yield Proposal((edit,), "drop a decorator", 0.15)
    if isinstance(context.parent(node), ast.ClassDef) and not node.decorator_list:
        for name in DECORATORS:
            yield Proposal((context.before(node, [f"@{name}"]),), "add a decorator", 0.1)


def scope(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """A missing `global` or `nonlocal`."""
    if not isinstance(node, FUNCTION_TYPES) or "UnboundLocalError" not in context.hints.errors:
        return
    stored = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)}
    for name in sorted(stored):
        for word in ("nonlocal", "global"):
            if context.own_line(node.body[0]):
                edit = context.before(node.body[0], [f"{word} {name}"])
                yield Proposal((edit,), "missing scope", 0.6)
        for value in ("0", "[]", "None", "{}", '""', "False"):
            if context.own_line(node.body[0]):
                edit = context.before(node.body[0], [f"{name} = {value}"])
                yield Proposal((edit,), "missing start value", 0.3)


def generator_body(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """A generator becomes a list, or vice versa, in the call that consumes it."""
    if isinstance(node, ast.GeneratorExp):
        text = context.text(node)
        inner = text[1:-1] if text.startswith("(") else text
        yield context.swap(node, f"[{inner}]", "list instead of generator", 0.12)
    if isinstance(node, (ast.ListComp, ast.SetComp)):
        text = context.text(node)
        other = f"{{{text[1:-1]}}}" if isinstance(node, ast.ListComp) else f"[{text[1:-1]}]"
        yield context.swap(node, other, "another comprehension", 0.15)


def unused_method(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """A private method that nothing uses any more, as an argument: somebody wrote it to be handed on."""
    call = context.parent(node)
    if not isinstance(node, (ast.Name, ast.Attribute, ast.Lambda)) or not isinstance(call, (ast.Call, ast.keyword)):
        return
    at = context.parent(context.scope_of(node) or node)
    if (isinstance(call, ast.Call) and node not in call.args) or not isinstance(at, ast.ClassDef):
        return
    for method in at.body:
        name = getattr(method, "name", "")
        private = name.startswith("_") and not name.startswith("__")
        if private and isinstance(method, FUNCTION_TYPES) and len(re.findall(rf"\b{name}\b", context.src.text)) == 1:
            yield context.swap(node, f"self.{name}", "a method that nothing uses", UNUSED_PRIOR)


FAMILY = (unused_method, defaults, factories, decorators, scope, generator_body)
