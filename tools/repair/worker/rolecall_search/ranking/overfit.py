"""What a patch removes: calls, recursion, conditions, the use of a parameter.

Owns the comparison of a function before and after. A patch that removes behaviour often only silences the tests.
"""

from __future__ import annotations

import ast
from collections import Counter
from typing import Optional

from rolecall_search.candidates import Candidate
from rolecall_search.program.source import FUNCTION_TYPES, splice
from rolecall_search.templates.base import bound_names

RECURSION, PARAMETER, NAME, CALL, CONDITION = 0.15, 0.25, 0.5, 0.4, 0.45
CONSTANT_CONDITION, TWICE = 0.35, 0.2
DUBIOUS = 0.5
"""A patch that costs more than this does not count as a likely one."""
DECISIONS = (ast.If, ast.IfExp, ast.While, ast.comprehension, ast.Assert)


def cost(candidate: Candidate) -> float:
    """A factor up to 1: small for a patch that makes the function do less."""
    pair = before_and_after(candidate)
    if pair is None:
        return 1.0
    old, new = pair
    made = 1.0
    name = candidate.unit.node.name if candidate.unit is not None else ""
    lost, gained = called(old) - called(new), called(new) - called(old)
    if name and called(new)[name] < called(old)[name]:
        made *= RECURSION
    elif lost and not gained:
        made *= CALL
    if decisions(new) < decisions(old):
        made *= CONDITION
    if fixed(new) > fixed(old):
        made *= CONSTANT_CONDITION
    if twice(new) > twice(old):
        made *= TWICE
    unread = (read_names(old) - read_names(new)) & set(bound_names(new))
    if unread & parameters(new):
        made *= PARAMETER
    elif unread:
        made *= NAME
    return made


def before_and_after(candidate: Candidate) -> Optional[tuple[ast.AST, ast.AST]]:
    """The edited function before and after; none outside functions."""
    unit, source = candidate.unit, candidate.source
    if unit is None:
        return None
    head = "".join(unit.headers)
    texts = [head + splice(source.text, edits, unit.start, unit.end) for edits in ((), candidate.edits)]
    return ast.parse(texts[0]), ast.parse(texts[1])


def called(tree: ast.AST) -> Counter[str]:
    """How often each name is called."""
    return Counter(
        getattr(node.func, "attr", None) or getattr(node.func, "id", "")
        for node in ast.walk(tree) if isinstance(node, ast.Call)
    )  # fmt: skip


def decisions(tree: ast.AST) -> int:
    """How many conditions a function tests; each operand of `and` and `or` counts."""
    count = 0
    for node in ast.walk(tree):
        if isinstance(node, ast.comprehension):
            count += len(node.ifs)
        elif isinstance(node, DECISIONS):
            count += 1
        elif isinstance(node, ast.BoolOp):
            count += len(node.values) - 1
        elif isinstance(node, ast.Compare):
            count += len(node.ops) - 1
    return count


def fixed(tree: ast.AST) -> int:
    """How many conditions are constant."""
    return sum(
        isinstance(node.test, ast.Constant)
        for node in ast.walk(tree) if isinstance(node, (ast.If, ast.IfExp))
    )  # fmt: skip


def twice(tree: ast.AST) -> int:
    """How many calls and operators get the same thing twice, such as `distance(goal, goal)`: most have no effect."""
    count = 0
    for node in ast.walk(tree):
        parts: list[ast.expr] = []
        if isinstance(node, ast.Call):
            parts = node.args
        elif isinstance(node, ast.BoolOp):
            parts = node.values
        elif isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
        elif isinstance(node, ast.BinOp) and not isinstance(node.op, (ast.Add, ast.Mult)):
            parts = [node.left, node.right]
        texts = [ast.dump(part) for part in parts if not isinstance(part, (ast.Constant, ast.Starred))]
        count += len(texts) > len(set(texts))
    return count


def parameters(tree: ast.AST) -> set[str]:
    """The parameters of the functions in a tree."""
    functions = [node for node in ast.walk(tree) if isinstance(node, FUNCTION_TYPES)]
    return {node.arg for function in functions for node in ast.walk(function.args) if isinstance(node, ast.arg)}


def read_names(tree: ast.AST) -> set[str]:
    """The names that are read somewhere below a node."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
