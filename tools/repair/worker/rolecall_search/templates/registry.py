"""All template families in one list."""

from __future__ import annotations

import ast
from typing import Callable, Iterator

from rolecall_search.templates import (
    calls,
    conditions,
    errors,
    functions,
    idioms,
    insertions,
    names,
    operators,
    statements,
    strings,
    subscripts,
)
from rolecall_search.templates.base import Context, Proposal

Template = Callable[[Context, ast.AST], Iterator[Proposal]]
FAMILIES = (
    operators, names, calls, subscripts, conditions, statements, insertions, errors, strings,
    functions, idioms,
)  # fmt: skip
TEMPLATES: tuple[Template, ...] = tuple(template for family in FAMILIES for template in family.FAMILY)


def proposals(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """Everything that may be done at one node."""
    for template in TEMPLATES:
        yield from template(context, node)
