"""What belongs to the repository, as the rules about its files see it."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

HOUSE = Path(__file__).parents[2]
ROOMS = ("rolecall", "graph", "nodes", "tools", "memory", "llm_registry", "core")
WORKER = "tools/repair/worker/"
"""Runs inside the interpreter under repair and is never imported by the house."""
DATA = ("examples/", "benchmarks/repair/handmade/", "benchmarks/repair/hard/")
"""Programs to be worked on, written like other people's."""


def tracked(*patterns: str) -> list[str]:
    """Paths git knows, relative to the top, that are still there."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "--", *patterns], cwd=HOUSE, capture_output=True, text=True, check=True
    )
    return [path for path in done.stdout.split("\0") if path and (HOUSE / path).is_file()]


def python_files(*, product_only: bool = False) -> list[str]:
    """Python files somebody here wrote."""
    kept = [path for path in tracked("*.py") if not path.startswith(DATA)]
    return [path for path in kept if path.split("/")[0] in ROOMS] if product_only else kept


def tree_of(path: str) -> ast.Module:
    return ast.parse((HOUSE / path).read_text(encoding="utf-8"))


def functions_of(path: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
