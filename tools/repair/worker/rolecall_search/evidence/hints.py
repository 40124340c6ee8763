"""What the failing tests say: the errors they end with, the errors and literals they expect.

Owns the reading of test sources. It changes priors only through the values it returns.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any, Iterator, Optional

from rolecall_search.evidence.baseline import TestRun
from rolecall_search.templates.base import Hints

RAISES = frozenset({"raises", "assertRaises", "assertRaisesRegex"})
NOT_RAISED = re.compile(r"DID NOT RAISE <class '([\w.]+)'>|^(\w+(?:Error|Exception)) not raised")
MISSING = re.compile(r"name '(\w+)' is not defined|has no attribute '(\w+)'")
MISSING_ERRORS = frozenset({"NameError", "UnboundLocalError", "AttributeError"})
LITERALS = 40


def read_hints(
    failing: list[TestRun],
    items: list[Any],
    errors: dict[str, str],
    frames: Optional[dict[str, list[tuple[str, int]]]] = None,
) -> Hints:
    """Gather hints from the failing tests."""
    wanted: list[str] = []
    literals: list[str] = []
    trees: dict[str, Optional[ast.Module]] = {}
    for run in failing[:20]:
        match = NOT_RAISED.search(run.message)
        if match:
            wanted.insert(0, (match.group(1) or match.group(2)).split(".")[-1])
        function = test_function(items[run.index], trees)
        if function is not None:
            wanted += expected_errors(function)
            literals += literals_in(function)
        literals += quoted(run.message)
    kinds = {run.error for run in failing if run.error} | {kind for kind in errors.values() if kind}
    return Hints(
        errors=frozenset(kinds),
        wanted_errors=tuple(dict.fromkeys(wanted)),
        literals=tuple(dict.fromkeys(literals))[:LITERALS],
        hang=any(run.hang for run in failing),
        missing=missing_names(failing),
        in_flight=tuple(dict.fromkeys(name for run in failing for name in run.handled)),
        crashed=crash_places(failing, errors, frames or {}),
    )


def crash_places(
    failing: list[TestRun], errors: dict[str, str], frames: dict[str, list[tuple[str, int]]]
) -> frozenset[tuple[str, int, str]]:
    """The innermost line of the program in each traceback, and the error raised there."""
    traces = [(run.frames, run.error) for run in failing if run.error and not run.hang]
    traces += [(found, errors.get(nodeid, "")) for nodeid, found in frames.items()]
    made = set()
    for trace, error in traces:
        inside = [frame for frame in trace if frame[0]]
        if inside and error:
            made.add((*inside[-1], error))
    return frozenset(made)


def missing_names(failing: list[TestRun]) -> frozenset[str]:
    """Names that do not exist, according to the failing tests' errors."""
    found: set[str] = set()
    for run in failing:
        match = MISSING.search(run.message) if run.error in MISSING_ERRORS else None
        if match:
            found.add(match.group(1) or match.group(2))
    return frozenset(found)


def test_function(item: Any, trees: dict[str, Optional[ast.Module]]) -> Optional[ast.AST]:
    """The syntax tree of a test."""
    path = str(item.path)
    if path not in trees:
        try:
            trees[path] = ast.parse(Path(path).read_bytes())
        except (SyntaxError, ValueError, OSError):
            trees[path] = None
    tree = trees[path]
    name = getattr(item, "originalname", None) or item.name.split("[")[0]
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name:
            return node
    return None


def expected_errors(function: ast.AST) -> Iterator[str]:
    """Types in `pytest.raises(...)` and similar calls."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and node.args:
            called = getattr(node.func, "attr", None) or getattr(node.func, "id", "")
            if called in RAISES:
                for inner in ast.walk(node.args[0]):
                    name = getattr(inner, "attr", None) or getattr(inner, "id", None)
                    if name:
                        yield name


def literals_in(function: ast.AST) -> Iterator[str]:
    """Short literals of a test, as a source would write them."""
    for node in ast.walk(function):
        if isinstance(node, ast.Constant):
            value = node.value
            if isinstance(value, str) and 0 < len(value) <= 40 and value.isprintable():
                yield value
            elif isinstance(value, (int, float)) and not isinstance(value, bool):
                yield repr(value)


def quoted(message: str) -> Iterator[str]:
    """Quoted words in an error message: keys, attributes, names."""
    for match in re.finditer(r"'([\w. -]{1,30})'", message):
        yield match.group(1)
