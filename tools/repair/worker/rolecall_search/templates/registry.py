"""All template families in one list."""

from __future__ import annotations

import ast
from typing import Callable, Iterator

from rolecall_search.templates import operators
from rolecall_search.templates.base import Context, Proposal

Template = Callable[[Context, ast.AST], Iterator[Proposal]]
TEMPLATES: tuple[Template, ...] = (*operators.FAMILY,)


def proposals(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """Everything that may be done at one node."""
    for template in TEMPLATES:
        yield from template(context, node)
