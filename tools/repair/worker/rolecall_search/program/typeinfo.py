"""Types seen at run time, and what they say about expressions.

Owns the vocabulary of type names. It runs nothing; `profile` records.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

Types = frozenset[str]
UNKNOWN: Types = frozenset()
NUMBERS = frozenset({"int", "float", "bool", "complex", "Fraction", "Decimal"})
SIZED = frozenset(
    {"list", "str", "tuple", "dict", "set", "frozenset", "deque", "bytes", "defaultdict",
     "Counter", "OrderedDict", "bytearray"}
)  # fmt: skip
SEQUENCES = frozenset({"list", "str", "tuple", "deque", "bytes"})
CALL_TYPES = {
    "len": "int", "int": "int", "str": "str", "list": "list", "dict": "dict", "set": "set",
    "tuple": "tuple", "sorted": "list", "float": "float", "bool": "bool", "repr": "str",
    "ord": "int", "chr": "str", "isinstance": "bool", "any": "bool", "all": "bool",
    "frozenset": "frozenset", "hash": "int", "deque": "deque", "defaultdict": "defaultdict",
}  # fmt: skip
METHOD_TYPES = {
    "strip": "str", "lower": "str", "upper": "str", "join": "str", "split": "list",
    "replace": "str", "format": "str", "lstrip": "str", "rstrip": "str", "startswith": "bool",
    "endswith": "bool", "find": "int", "count": "int", "splitlines": "list", "isdigit": "bool",
    "title": "str", "capitalize": "str",
}  # fmt: skip
DISPLAYS: dict[type, str] = {
    ast.Compare: "bool", ast.List: "list", ast.ListComp: "list", ast.Dict: "dict",
    ast.DictComp: "dict", ast.Set: "set", ast.SetComp: "set", ast.Tuple: "tuple",
    ast.JoinedStr: "str",
}  # fmt: skip


@dataclass
class UnitTypes:
    """Types of the names of one unit, of their elements and of the attributes of types."""

    names: dict[str, Types] = field(default_factory=dict)
    elements: dict[str, Types] = field(default_factory=dict)
    attributes: dict[str, dict[str, Types]] = field(default_factory=dict)
    methods: dict[str, tuple[str, ...]] = field(default_factory=dict)
    results: Types = UNKNOWN

    def attributes_of(self, owner: Types) -> dict[str, Types]:
        """The data attributes seen on any of the types."""
        found: dict[str, Types] = {}
        for name in sorted(owner):
            for attribute, types in self.attributes.get(name, {}).items():
                found[attribute] = found.get(attribute, UNKNOWN) | types
        return found

    def methods_of(self, owner: Types) -> tuple[str, ...]:
        """The public methods of any of the project's own types."""
        return tuple(dict.fromkeys(m for name in sorted(owner) for m in self.methods.get(name, ())))


def infer(node: ast.AST, types: UnitTypes) -> Types:
    """The possible types of an expression, empty when unknown."""
    made = DISPLAYS.get(type(node), "")
    if isinstance(node, ast.Name):
        return types.names.get(node.id, UNKNOWN)
    if isinstance(node, ast.Attribute):
        return types.attributes_of(infer(node.value, types)).get(node.attr, UNKNOWN)
    if isinstance(node, ast.Call):
        return _call(node, types)
    if isinstance(node, ast.BinOp):
        return _binary(node, types)
    if isinstance(node, ast.Subscript):
        return _subscript(node, types)
    if isinstance(node, ast.Constant):
        made = type(node.value).__name__
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        made = "bool"
    return frozenset({made}) if made else UNKNOWN


def _call(node: ast.Call, types: UnitTypes) -> Types:
    name = ""
    if isinstance(node.func, ast.Name):
        name = CALL_TYPES.get(node.func.id, "")
        if node.func.id in ("abs", "min", "max", "sum", "round") and node.args:
            return infer(node.args[0], types) & NUMBERS
    elif isinstance(node.func, ast.Attribute):
        name = METHOD_TYPES.get(node.func.attr, "")
    return frozenset({name}) if name else UNKNOWN


def _binary(node: ast.BinOp, types: UnitTypes) -> Types:
    left, right = infer(node.left, types), infer(node.right, types)
    if isinstance(node.op, ast.Div) and left <= NUMBERS and left:
        return frozenset({"float"})
    return left or right


def _subscript(node: ast.Subscript, types: UnitTypes) -> Types:
    owner = infer(node.value, types)
    if isinstance(node.slice, ast.Slice) or owner == frozenset({"str"}):
        return owner
    if isinstance(node.value, ast.Name):
        return types.elements.get(node.value.id, UNKNOWN)
    return UNKNOWN


def compatible(one: Types, other: Types) -> bool:
    """Whether values of both may be used in the same place; unknown fits anything."""
    if not one or not other:
        return True
    if one & other - {"NoneType"}:
        return True
    return bool(one & NUMBERS) and bool(other & NUMBERS)


def may_be(types: Types, wanted: frozenset[str]) -> bool:
    """Whether a value may be of one of the wanted types; unknown may be anything."""
    return not types or bool(types & wanted)
