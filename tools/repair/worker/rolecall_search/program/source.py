"""A source file with positions: parsing, offsets, enclosing units, and compiling one edited unit.

Owns the mapping between `ast` positions and text. It does not decide which edits to make.
"""

from __future__ import annotations
import __future__

import ast
import re
import tokenize
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Iterator, NamedTuple, Optional, Union

FunctionNode = Union[ast.FunctionDef, ast.AsyncFunctionDef]
FUNCTION_TYPES = (ast.FunctionDef, ast.AsyncFunctionDef)
SIMPLE_STATEMENTS = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.Return)
MOST_TEXT, MOST_OPERANDS = 40, 30
_LINE_END = re.compile(r"\r\n|\r|\n")
_INDENT = re.compile(r"[ \t\f]*")


class Edit(NamedTuple):
    """Replace the characters `start:end` of a file with `text`."""

    start: int
    end: int
    text: str


@dataclass(eq=False)
class Unit:
    """An outermost function: the piece that is recompiled alone when an edit stays inside it."""

    node: FunctionNode
    headers: list[str]
    start: int
    end: int
    first_line: int
    qualname: str = ""
    class_name: str = ""


@dataclass(eq=False)
class SourceFile:
    """One parsed file of the program under repair.

    `functions` maps each name to its first function; `attributes` lists the attributes read from each
    plain name, those of other expressions under "".
    """

    path: str
    rel: str
    text: str
    tree: ast.Module
    line_starts: list[int]
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)
    units: list[Unit] = field(default_factory=list)
    future_flags: int = 0
    newline: str = "\n"
    functions: dict[str, FunctionNode] = field(default_factory=dict)
    attributes: dict[str, set[str]] = field(default_factory=dict)
    calls: dict[str, list[ast.Call]] = field(default_factory=dict)
    """Calls by the last part of the called name."""
    statements: list[ast.stmt] = field(default_factory=list)
    """Simple statements alone on one line, each text once."""
    properties: dict[str, list[str]] = field(default_factory=dict)
    _operands: Optional[list[tuple[str, ast.expr]]] = None
    _plain_calls: dict[ast.AST, tuple[dict[str, int], dict[str, int]]] = field(default_factory=dict)

    @classmethod
    def load(cls, path: str, rel: str, text: Optional[str] = None) -> SourceFile:
        """Parse `path`, or another text for it; raises `SyntaxError`, `UnicodeDecodeError` or `OSError`."""
        if text is None:
            raw = Path(path).read_bytes()
            lines = iter(raw.splitlines(keepends=True))
            encoding, _ = tokenize.detect_encoding(lambda: next(lines, b""))
            text = raw.decode(encoding)
        tree = ast.parse(text)
        starts = [0] + [m.end() for m in _LINE_END.finditer(text)]
        made = cls(path, rel, text, tree, starts)
        made._link()
        return made

    def _link(self) -> None:
        for parent in ast.walk(self.tree):
            for child in ast.iter_child_nodes(parent):
                self.parents[child] = parent
            if isinstance(parent, FUNCTION_TYPES):
                self.functions.setdefault(parent.name, parent)
            elif isinstance(parent, ast.Attribute):
                owner = getattr(parent.value, "id", "")
                self.attributes.setdefault(owner, set()).add(parent.attr)
            elif isinstance(parent, ast.Call):
                name = getattr(parent.func, "attr", None) or getattr(parent.func, "id", "")
                self.calls.setdefault(name, []).append(parent)
            elif isinstance(parent, SIMPLE_STATEMENTS) and parent.lineno == parent.end_lineno:
                self.statements.append(parent)
            if isinstance(parent, ast.ClassDef):
                self.properties[parent.name] = list(_properties(parent))
        self.newline = "\r\n" if "\r\n" in self.text else "\n"
        self.future_flags = _future_flags(self.tree)
        self.units = list(self._find_units(self.tree.body, [], []))
        found = {self.seg(entry): entry for entry in reversed(self.statements)}
        self.statements = sorted(found.values(), key=lambda entry: entry.lineno)

    def _find_units(self, body: list[ast.stmt], headers: list[str], names: list[str]) -> Iterator[Unit]:
        for node in body:
            if isinstance(node, FUNCTION_TYPES):
                yield self._unit(node, headers, names)
            elif isinstance(node, ast.ClassDef):
                line = self.indent(node.lineno) + f"class {node.name}:\n"
                yield from self._find_units(node.body, [*headers, line], [*names, node.name])
            else:
                for block in blocks_of(node):
                    line = self.indent(node.lineno) + "if 1:\n"
                    chain = headers
                    if not headers or _indent_of(headers[-1]) != _indent_of(line):
                        chain = [*headers, line]
                    yield from self._find_units(block, chain, names)

    def _unit(self, node: FunctionNode, headers: list[str], names: list[str]) -> Unit:
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        start = self.line_starts[node.lineno - 1]
        qualname = ".".join([*names, node.name])
        end = self.span(node)[1]
        return Unit(node, headers, start, end, first, qualname, names[-1] if names else "")

    def indent(self, lineno: int) -> str:
        """The leading white space of a line."""
        match = _INDENT.match(self.text, self.line_starts[lineno - 1])
        return match.group() if match else ""

    def line(self, lineno: int) -> str:
        """The text of a line without its line ending."""
        start = self.line_starts[lineno - 1]
        end = self.line_starts[lineno] if lineno < len(self.line_starts) else len(self.text)
        return self.text[start:end].rstrip("\r\n")

    def offset(self, lineno: int, column: int) -> int:
        """The character offset of an `ast` position (columns are UTF-8 bytes)."""
        start = self.line_starts[lineno - 1]
        line = self.text[start : start + column]
        if line.isascii():
            return start + column
        return start + len(self.line(lineno).encode()[:column].decode(errors="ignore"))

    def span(self, node: ast.AST) -> tuple[int, int]:
        """The start and end offsets of a node."""
        return (
            self.offset(node.lineno, node.col_offset),
            self.offset(node.end_lineno, node.end_col_offset),
        )

    def seg(self, node: ast.AST) -> str:
        """The text of a node."""
        start, end = self.span(node)
        return self.text[start:end]

    def unit_at(self, start: int, end: int) -> Optional[Unit]:
        """The unit that contains the whole range in its signature or body."""
        for unit in self.units:
            if unit.start <= start and end <= unit.end:
                return unit
        return None

    def body_start(self, unit: Unit) -> int:
        """Where the body of a unit starts; defaults and annotations come before it."""
        return self.span(unit.node.body[0])[0]

    def plain_calls(self, root: ast.AST) -> tuple[dict[str, int], dict[str, int]]:
        """How often each method with constants only, and each function of one argument, is called below a node.

        Methods are given with their arguments, `strip()`, and functions as they are named, `self.take`.
        """
        if root in self._plain_calls:
            return self._plain_calls[root]
        methods: dict[str, int] = {}
        functions: dict[str, int] = {}
        for node in ast.walk(root):
            if not isinstance(node, ast.Call) or node.keywords:
                continue
            if isinstance(node.func, ast.Attribute) and all(isinstance(arg, ast.Constant) for arg in node.args):
                text = f"{node.func.attr}({', '.join(self.seg(arg) for arg in node.args)})"
                methods[text] = methods.get(text, 0) + 1
            if len(node.args) == 1 and is_chain(node.func):
                text = self.seg(node.func)
                functions[text] = functions.get(text, 0) + 1
        self._plain_calls[root] = methods, functions
        return methods, functions

    def operands(self) -> list[tuple[str, ast.expr]]:
        """The right sides of additions, subtractions and remainders in the file with their operator, each text once."""
        if self._operands is None:
            signs: dict[type, str] = {ast.Add: "+", ast.Sub: "-", ast.Mod: "%"}
            found = {}
            for node in ast.walk(self.tree):
                if isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in signs:
                    right = node.right if isinstance(node, ast.BinOp) else node.value
                    found[f"{signs[type(node.op)]} {self.seg(right)}"] = right
            self._operands = [entry for entry in found.items() if len(entry[0]) < MOST_TEXT][:MOST_OPERANDS]
        return self._operands

    def properties_of(self, types: frozenset[str]) -> list[str]:
        """The properties of the file's classes that have one of the names."""
        return [name for kind in sorted(types) for name in self.properties.get(kind, ())]

    def apply(self, edits: tuple[Edit, ...]) -> str:
        """The text of the file with the edits applied."""
        return splice(self.text, edits, 0, len(self.text))

    def compile_unit(self, unit: Unit, edits: tuple[Edit, ...], *, placed: bool = False) -> CodeType:
        """Compile one unit with the edits applied; raises `SyntaxError` or `ValueError`.

        With `placed` the code has the line numbers of the file.
        """
        segment = splice(self.text, edits, unit.start, unit.end)
        above = unit.node.lineno - 1 - len(unit.headers) if placed else 0
        source = "\n" * above + "".join(unit.headers) + segment + "\n"
        module = compile(source, self.path, "exec", self.future_flags, dont_inherit=True)
        found = find_code(module, unit.node.name)
        if found is None:
            raise ValueError("the edited unit does not define a function of its name")
        return found


def is_chain(node: ast.AST) -> bool:
    """Whether a node is a name or attributes of one."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)


def _properties(node: ast.ClassDef) -> Iterator[str]:
    for entry in node.body:
        for decorator in entry.decorator_list if isinstance(entry, FUNCTION_TYPES) else ():
            name = getattr(decorator, "attr", None) or getattr(decorator, "id", "")
            if name in ("property", "cached_property"):
                yield entry.name


def splice(text: str, edits: tuple[Edit, ...], start: int, end: int) -> str:
    """The range `start:end` of `text` with the edits applied."""
    parts = []
    at = start
    for edit in sorted(edits):
        parts.append(text[at : edit.start])
        parts.append(edit.text)
        at = edit.end
    parts.append(text[at:end])
    return "".join(parts)


def blocks_of(node: ast.AST) -> Iterator[list[ast.stmt]]:
    """The statement lists directly under a compound statement."""
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
            yield block
    for name in ("handlers", "cases"):
        for inner in getattr(node, name, None) or []:
            yield inner.body


def find_code(code: CodeType, name: str) -> Optional[CodeType]:
    """The first code object called `name`, searched through classes."""
    inner = [const for const in code.co_consts if isinstance(const, CodeType)]
    for const in inner:
        if const.co_name == name:
            return const
    for const in inner:
        found = find_code(const, name)
        if found is not None:
            return found
    return None


def signature_of(code: CodeType) -> tuple[object, ...]:
    """What a code object does, regardless of where it is: equal ones need only one try."""
    consts = tuple(signature_of(c) if isinstance(c, CodeType) else (type(c).__name__, repr(c)) for c in code.co_consts)
    table = getattr(code, "co_exceptiontable", b"")
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return (code.co_code, consts, names, table, code.co_flags, code.co_argcount)


def _indent_of(header: str) -> int:
    return len(header) - len(header.lstrip(" \t\f"))


def _future_flags(tree: ast.Module) -> int:
    flags = 0
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            for alias in node.names:
                feature = getattr(__future__, alias.name, None)
                flags |= feature.compiler_flag if feature else 0
    return flags
