"""What a template sees and makes: a context around one node, and proposals of text edits.

Owns parentheses, indentation and the names in scope. It contains no templates.
"""

from __future__ import annotations

import ast
import builtins
import re
from dataclasses import dataclass, field, replace
from typing import Iterator, NamedTuple, Optional

from rolecall_search.program.source import FUNCTION_TYPES, Edit, SourceFile, Unit, blocks_of
from rolecall_search.program.typeinfo import Types, UnitTypes, infer

BUILTIN_NAMES = frozenset(dir(builtins))
SIMPLE = (ast.Name, ast.Attribute, ast.Subscript, ast.Call, ast.Constant, ast.List, ast.Dict)
MARK = re.compile(r"`([^`\s]{1,2})`")
MOST_NAMES = 16
FILLING = frozenset({"append", "extend", "add", "update", "insert", "setdefault", "appendleft"})
MOST_STRINGS = 30
NAMED = (*FUNCTION_TYPES, ast.ClassDef, ast.ExceptHandler)
SCOPES = (*FUNCTION_TYPES, ast.Lambda, ast.ClassDef)


class Proposal(NamedTuple):
    """Edits that belong together, the template that made them and its prior weight."""

    edits: tuple[Edit, ...]
    template: str
    prior: float


@dataclass
class Hints:
    """What the failing tests show: the types of their errors and the literals they mention."""

    errors: frozenset[str] = frozenset()
    wanted_errors: tuple[str, ...] = ()
    literals: tuple[str, ...] = ()
    words: frozenset[str] = frozenset()
    hang: bool = False
    missing: frozenset[str] = frozenset()
    in_flight: tuple[str, ...] = ()
    """Errors that were being handled when the error of a test was raised."""
    crashed: frozenset[tuple[str, int, str]] = frozenset()
    """Files and lines that raised the error of a failing test, and its type."""


@dataclass(eq=False)
class Context:
    """One file, and the unit that contains a node (none: module or class level)."""

    src: SourceFile
    unit: Optional[Unit]
    types: UnitTypes
    hints: Hints
    names: list[str] = field(default_factory=list)
    globals: list[str] = field(default_factory=list)
    strings: list[str] = field(default_factory=list)
    lines: dict[str, list[int]] = field(default_factory=dict)
    marks: tuple[str, ...] = ()
    """Signs and short texts that the docstrings of the unit quote."""
    unused: frozenset[str] = frozenset()
    """Names that the unit binds and never reads, or the module imports and never reads: lost code may use them."""

    def near(self, line: int) -> Context:
        """The same context with the names used closest to a line, closest first."""
        if len(self.names) <= 6:
            return self
        order = sorted(self.names, key=lambda name: distance(self.lines.get(name, []), line))
        return replace(self, names=order[:MOST_NAMES])

    def text(self, node: ast.AST) -> str:
        """The source text of a node."""
        return self.src.seg(node)

    def parent(self, node: ast.AST) -> Optional[ast.AST]:
        """The node above."""
        return self.src.parents.get(node)

    def statement(self, node: ast.AST) -> ast.stmt:
        """The statement that contains a node."""
        at: Optional[ast.AST] = node
        while at is not None and not isinstance(at, ast.stmt):
            at = self.src.parents.get(at)
        assert isinstance(at, ast.stmt)
        return at

    def type_of(self, node: ast.AST) -> Types:
        """The type names seen or inferred for an expression; empty when unknown."""
        return infer(node, self.types)

    def types_within(self, node: ast.AST) -> Types:
        """The type names seen of the elements of a name; empty when unknown."""
        return self.types.elements.get(self.text(node), frozenset())

    def crashed(self, node: ast.AST, error: str) -> bool:
        """Whether a failing test ended with such an error on one of the node's lines."""
        return any(
            path == self.src.path and kind == error
            and node.lineno <= line <= (node.end_lineno or line)
            for path, line, kind in self.hints.crashed
        )  # fmt: skip

    def negated(self, node: ast.AST) -> bool:
        """Whether the node is the operand of a `not`."""
        parent = self.parent(node)
        return isinstance(parent, ast.UnaryOp) and isinstance(parent.op, ast.Not)

    def wrapped(self, node: ast.AST) -> str:
        """The text of a node, in parentheses unless it binds tightly anyway."""
        text = self.text(node)
        return text if isinstance(node, SIMPLE) else f"({text})"

    def swap(self, node: ast.AST, text: str, template: str, prior: float, *, tight: bool = True) -> Proposal:
        """Replace a node; text that is not `tight` gets parentheses where the place needs them."""
        if not tight and self.needs_parentheses(node):
            text = f"({text})"
        start, end = self.src.span(node)
        return Proposal((Edit(start, end, text),), template, prior)

    def needs_parentheses(self, node: ast.AST) -> bool:
        """Whether an operator expression in the place of `node` needs parentheses."""
        parent = self.parent(node)
        if isinstance(parent, ast.Call):
            return parent.func is node
        if isinstance(parent, ast.Subscript):
            return parent.value is node
        if isinstance(parent, (ast.stmt, ast.keyword, ast.List, ast.Slice, ast.Dict)):
            return False
        return not isinstance(parent, (ast.Tuple, ast.Set, ast.FormattedValue))

    def scope_of(self, node: ast.AST) -> Optional[ast.AST]:
        """The innermost function (or class) around a node."""
        at = self.src.parents.get(node)
        while at is not None and not isinstance(at, SCOPES):
            at = self.src.parents.get(at)
        return at

    def block_of(self, statement: ast.stmt) -> list[ast.stmt]:
        """The list of statements that contains `statement`."""
        parent = self.src.parents[statement]
        for block in blocks_of(parent):
            if any(entry is statement for entry in block):
                return block
        return [statement]

    def own_line(self, statement: ast.stmt) -> bool:
        """Whether nothing else is before the statement on its line."""
        start = self.src.line_starts[statement.lineno - 1]
        return self.src.text[start : self.src.span(statement)[0]].strip() == ""

    def newline(self) -> str:
        """The line ending this file uses."""
        return self.src.newline

    def before(self, statement: ast.stmt, lines: list[str]) -> Edit:
        """An edit that puts lines before a statement, at its indentation."""
        indent = self.src.indent(statement.lineno)
        first = min([statement.lineno, *_decorator_lines(statement)])
        at = self.src.line_starts[first - 1]
        return Edit(at, at, "".join(f"{indent}{line}{self.newline()}" for line in lines))

    def after(self, statement: ast.stmt, lines: list[str], indent: Optional[str] = None) -> Edit:
        """An edit that puts lines after a statement, at its indentation."""
        if indent is None:
            indent = self.src.indent(statement.lineno)
        at = self.src.span(statement)[1]
        end_line = statement.end_lineno or statement.lineno
        starts = self.src.line_starts
        at = starts[end_line] if end_line < len(starts) else len(self.src.text)
        text = "".join(f"{indent}{line}{self.newline()}" for line in lines)
        if not self.src.text[:at].endswith(("\n", "\r")):
            text = self.newline() + text
        return Edit(at, at, text)

    def whole_lines(self, statement: ast.stmt) -> tuple[int, int]:
        """The offsets of the lines a statement covers."""
        starts = self.src.line_starts
        end_line = statement.end_lineno or statement.lineno
        end = starts[end_line] if end_line < len(starts) else len(self.src.text)
        return starts[statement.lineno - 1], end

    def loop_of(self, node: ast.AST) -> Optional[ast.AST]:
        """The innermost loop around a node in the same function."""
        at = self.src.parents.get(node)
        while at is not None and not isinstance(at, SCOPES):
            if isinstance(at, (ast.For, ast.While, ast.AsyncFor)):
                return at
            at = self.src.parents.get(at)
        return None

    def function_of(self, node: ast.AST) -> Optional[ast.AST]:
        """The innermost function around a node."""
        at = self.src.parents.get(node)
        while at is not None and not isinstance(at, FUNCTION_TYPES):
            at = self.src.parents.get(at)
        return at


def _decorator_lines(statement: ast.stmt) -> list[int]:
    return [node.lineno for node in getattr(statement, "decorator_list", [])]


def distance(lines: list[int], line: int) -> int:
    """How far the nearest of some lines is."""
    return min((abs(other - line) for other in lines), default=10_000)


def used_lines(node: ast.AST) -> dict[str, list[int]]:
    """The lines on which each name occurs."""
    found: dict[str, list[int]] = {}
    for inner in ast.walk(node):
        name = inner.arg if isinstance(inner, ast.arg) else getattr(inner, "id", None)
        if isinstance(name, str):
            found.setdefault(name, []).append(inner.lineno)
    return found


def short_strings(node: ast.AST) -> list[str]:
    """The short printable literals below a node."""
    found = [
        inner.value for inner in ast.walk(node) if isinstance(inner, ast.Constant) and isinstance(inner.value, str)
    ]
    short = [text for text in found if text.isprintable() and len(text) < 30]
    return list(dict.fromkeys(short))[:MOST_STRINGS]


def bound_names(node: ast.AST) -> Iterator[str]:
    """The names a function binds: parameters, targets, imports, nested functions."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.arg):
            yield inner.arg
        elif isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            yield inner.id
        elif isinstance(inner, NAMED) and inner is not node and inner.name:
            yield inner.name


def module_names(tree: ast.Module) -> Iterator[str]:
    """The names bound at the top of a module."""
    for node in tree.body:
        if isinstance(node, (*FUNCTION_TYPES, ast.ClassDef)):
            yield node.name
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                yield (alias.asname or alias.name).split(".")[0]
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                    yield inner.id


def constant_types(tree: ast.Module) -> dict[str, Types]:
    """Types of module-level names bound to literals."""
    found: dict[str, Types] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target = node.targets[0]
            types = infer(node.value, UnitTypes(names=found))
            if isinstance(target, ast.Name) and types:
                found[target.id] = types
    return found


def quoted_marks(src: SourceFile, unit: Optional[Unit]) -> tuple[str, ...]:
    """What stands in backticks in the docstring of a unit, as far as it is one or two signs."""
    text = ast.get_docstring(unit.node) or "" if unit is not None else ""
    return tuple(dict.fromkeys(mark for mark in MARK.findall(text) if not mark.isalnum() and mark not in '"\\'))


def written_results(node: ast.AST, types: UnitTypes) -> Types:
    """The types a function would return, as far as its text tells: nothing was seen of one that always raises."""
    values = [inner.value for inner in ast.walk(node) if isinstance(inner, ast.Return) and inner.value is not None]
    return frozenset[str]().union(*(infer(value, types) for value in values))


def unused_names(src: SourceFile, unit: Optional[Unit]) -> frozenset[str]:
    """Names bound in a unit and not read in it, and names a module imports or keeps private and never reads."""
    read = {node.id for node in ast.walk(src.tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    outer = set()
    if not src.path.endswith("__init__.py") and "__all__" not in src.text:
        imports = (ast.Import, ast.ImportFrom)
        imported = {
            (alias.asname or alias.name).split(".")[0]
            for node in src.tree.body if isinstance(node, imports) for alias in node.names
        }  # fmt: skip
        outer = {name for name in module_names(src.tree) if name in imported or name.startswith("_")} - read
    if unit is None:
        return frozenset(outer)
    here = {node.id for node in ast.walk(unit.node) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    here -= filled_only(src, unit.node)
    own = {name for name in bound_names(unit.node) if not name.startswith("_")} - here - {"self", "cls"}
    return frozenset(outer | own) - {"annotations"}


def filled_only(src: SourceFile, root: ast.AST) -> set[str]:
    """Names a function makes and fills, `made[key] = value`, `made.append(value)`, without reading what is in them."""
    made, read = set(), set()
    for node in ast.walk(root):
        if not isinstance(node, ast.Name):
            continue
        parent = src.parents.get(node)
        above = src.parents.get(parent) if parent is not None else None
        stored = isinstance(getattr(parent, "ctx", None), ast.Store) and getattr(parent, "value", None) is node
        called = isinstance(parent, ast.Attribute) and isinstance(above, ast.Call) and above.func is parent
        dropped = called and above is not None and isinstance(src.parents.get(above), ast.Expr)
        if isinstance(node.ctx, ast.Store):
            made.add(node.id)
        elif not stored and not (dropped and getattr(parent, "attr", "") in FILLING):
            read.add(node.id)
    return made - read


def make_context(src: SourceFile, unit: Optional[Unit], types: UnitTypes, hints: Hints) -> Context:
    """Gather the names a unit can see."""
    names = list(dict.fromkeys(bound_names(unit.node))) if unit is not None else []
    outer = [name for name in dict.fromkeys(module_names(src.tree)) if name not in names]
    names = [name for name in names if name not in ("self", "cls", "_")]
    constants = constant_types(src.tree)
    if constants:
        types = replace(types, names={**constants, **types.names})
    if unit is not None and not types.results:
        types = replace(types, results=written_results(unit.node, types))
    root = unit.node if unit is not None else src.tree
    lines = used_lines(root) if unit is not None else {}
    made = Context(src, unit, types, hints, names, outer, short_strings(root), lines)
    return replace(made, marks=quoted_marks(src, unit), unused=unused_names(src, unit))
