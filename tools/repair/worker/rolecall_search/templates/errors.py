"""Exceptions: other types in `except` and `raise`, and calls made safe."""

from __future__ import annotations

import ast
import builtins
from typing import Iterator

from rolecall_search.program.source import Edit
from rolecall_search.templates.base import Context, Proposal

COMMON = (
    "ValueError", "TypeError", "KeyError", "IndexError", "AttributeError", "RuntimeError",
    "LookupError", "NotImplementedError", "ZeroDivisionError", "OSError", "StopIteration",
    "Exception", "ArithmeticError", "OverflowError", "UnicodeDecodeError", "FileNotFoundError",
    "ImportError", "TimeoutError", "PermissionError", "AssertionError",
)  # fmt: skip


def handler(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """`except X` becomes `except Y` or `except (X, Y)`."""
    if not isinstance(node, ast.ExceptHandler) or node.type is None:
        return
    text = context.text(node.type)
    inner = text[1:-1].rstrip(",") if isinstance(node.type, ast.Tuple) else text
    flight = context.hints.in_flight
    # When a name of the handler does not exist, the test's own error comes from the handler.
    seen = frozenset(flight) or context.hints.errors
    for name in dict.fromkeys([*sorted(seen), *COMMON, *_local_errors(context)]):
        if name in text or not _known(context, name):
            continue
        share = 2.0 if name in flight else 1.0 if name in seen else 0.2
        yield context.swap(node.type, f"({inner}, {name})", "catch another exception", 0.6 * share)
        yield context.swap(node.type, name, "another exception type", 0.55 * share)
    if isinstance(node.type, ast.Tuple):
        for element in node.type.elts:
            name = context.text(element)
            yield context.swap(node.type, name, "catch fewer", 0.25)


def raised(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """`raise X` becomes `raise Y`; a bare `raise`; a returned error is raised."""
    if isinstance(node, ast.Return) and isinstance(node.value, ast.Call):
        name = getattr(node.value.func, "id", "")
        if name.endswith(("Error", "Exception")):
            text = context.text(node.value)
            yield context.swap(node, f"raise {text}", "missing raise", 0.8)
    if not isinstance(node, ast.Raise) or node.exc is None:
        return
    target = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    text = context.text(target)
    wanted = context.hints.wanted_errors
    for name in dict.fromkeys([*wanted, *COMMON, *_local_errors(context)]):
        if name != text and _known(context, name):
            prior = 0.75 if name in wanted else 0.15
            yield context.swap(target, name, "another exception type", prior)
    yield context.swap(node, "raise", "raise again", 0.15)
    yield context.swap(node, "return None", "return instead of raise", 0.15)
    if context.loop_of(node) is not None:
        yield context.swap(node, "continue", "skip instead of raise", 0.15)


def in_handler(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """What a handler does with the error: raise it again, or nothing."""
    if isinstance(node, (ast.Pass, ast.Return)) and isinstance(context.parent(node), ast.ExceptHandler):
        yield context.swap(node, "raise", "raise again", 0.4)
        for name in context.hints.wanted_errors:
            if _known(context, name):
                text = f'raise {name}("invalid value")'
                yield context.swap(node, text, "raise another error", 0.5)


def finally_clean(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """A simple statement that raised is caught."""
    if not isinstance(node, (ast.Assign, ast.Expr, ast.Return)) or not context.own_line(node):
        return
    risky = context.hints.errors & {"KeyError", "IndexError", "ValueError", "StopIteration"}
    text = context.text(node)
    if not risky or "\n" in text or context.unit is None:
        return
    start, end = context.src.span(node)
    indent = context.src.indent(node.lineno)
    new = context.newline()
    for name in sorted(risky):
        for body in ("pass", "return None", "return []", "return False", "return 0"):
            made = f"try:{new}{indent}    {text}{new}{indent}except {name}:{new}{indent}    {body}"
            yield Proposal((Edit(start, end, made),), "catch an error", 0.08)


def _known(context: Context, name: str) -> bool:
    return name.isidentifier() and (hasattr(builtins, name) or name in context.globals)


def _local_errors(context: Context) -> list[str]:
    return [name for name in context.globals if name.endswith(("Error", "Exception"))]


FAMILY = (handler, raised, in_handler, finally_clean)
