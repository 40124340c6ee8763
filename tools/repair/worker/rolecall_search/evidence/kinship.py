"""Which statements are behind a line that raised: the line, its conditions, and what feeds it.

Owns the step from a traceback to statements. It knows nothing of templates.
"""

from __future__ import annotations

import ast
from typing import Iterator

from rolecall_search.program.source import FUNCTION_TYPES, SourceFile

RAISER, DECIDER, FEEDER, REFUSAL = 1.5, 1.45, 1.2, 0.9


def behind(source: SourceFile, lines: set[int]) -> dict[ast.AST, float]:
    """A factor for each statement related to one of the lines.

    A `raise` means that the program noticed something: the fault is more likely the condition
    above it, or a value that the condition reads.
    """
    found: dict[ast.AST, float] = {}
    for statement in _at(source, lines):
        refusal = isinstance(statement, ast.Raise)
        _raise_to(found, statement, REFUSAL if refusal else RAISER)
        read = _read(statement)
        deciders = list(_deciders(source, statement))
        for decider in deciders[:2] if refusal else ():
            _raise_to(found, decider, DECIDER)
            read |= _read(decider)
        for feeder in _feeders(source, statement, read):
            _raise_to(found, feeder, FEEDER)
    return found


def _at(source: SourceFile, lines: set[int]) -> Iterator[ast.stmt]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.stmt) and not isinstance(node, (*FUNCTION_TYPES, ast.ClassDef)):
            body = getattr(node, "body", None)
            last = body[0].lineno - 1 if isinstance(body, list) and body else node.end_lineno or node.lineno
            if any(node.lineno <= line <= max(last, node.lineno) for line in lines):
                yield node


def _deciders(source: SourceFile, statement: ast.stmt) -> Iterator[ast.stmt]:
    at = source.parents.get(statement)
    while at is not None and not isinstance(at, (*FUNCTION_TYPES, ast.Module)):
        if isinstance(at, (ast.If, ast.While, ast.For)):
            yield at
        at = source.parents.get(at)


def _feeders(source: SourceFile, statement: ast.stmt, read: set[str]) -> Iterator[ast.stmt]:
    at = source.parents.get(statement)
    while at is not None and not isinstance(at, FUNCTION_TYPES):
        at = source.parents.get(at)
    for node in ast.walk(at) if at is not None else ():
        if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.For)) and node.lineno < statement.lineno:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            stored = {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}
            if stored & read:
                yield node


def _read(statement: ast.AST) -> set[str]:
    inner = [child for child in ast.iter_child_nodes(statement) if isinstance(child, ast.expr)]
    return {
        part.id for child in inner for part in ast.walk(child)
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)
    }  # fmt: skip


def _raise_to(found: dict[ast.AST, float], statement: ast.AST, factor: float) -> None:
    found[statement] = max(found.get(statement, 0.0), factor)
