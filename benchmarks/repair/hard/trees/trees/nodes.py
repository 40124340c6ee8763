"""Nodes with children."""

from __future__ import annotations

import json
import pickle
from typing import Any


class Node:
    """A named node; it knows its parent."""

    def __init__(self, name: str, *children: Node) -> None:
        self.name = name
        self.parent: Node | None = None
        self.children: list[Node] = []
        for child in children:
            self.add(child)

    def add(self, child: Node) -> None:
        child.parent = self
        self.children.append(child)

    def __repr__(self) -> str:
        inner = f", {len(self.children)} children" if self.children else ""
        return f"Node({self.name!r}{inner})"

    def __eq__(self, other: object) -> bool:
        """Same names in the same shape; parents do not matter."""
        return isinstance(other, Node) and self.name == other.name and self.children == other.children

    def __hash__(self) -> int:
        return hash(self.name)

    def depth(self) -> int:
        """Number of ancestors."""
        return 0 if self.parent is None else self.parent.depth() + 1

    def height(self) -> int:
        """Length of the longest way down; 0 for a leaf."""
        if not self.children:
            return 0
        return 1 + max(child.height() for child in self.children)

    def size(self) -> int:
        return 1 + sum(child.size() for child in self.children)

    def path(self) -> str:
        """Names from the root on, set apart by slashes."""
        if self.parent is None:
            return self.name
        return f"{self.parent.path()}/{self.name}"

    def find(self, name: str) -> Node | None:
        """Return the first node of this name, parents before children."""
        if self.name == name:
            return self
        for child in self.children:
            found = child.find(name)
            if found is not None:
                return found
        return None

    def plain(self) -> dict[str, Any]:
        """Return names and children as plain data."""
        return {"name": self.name, "children": [child.plain() for child in self.children]}

    def to_json(self) -> str:
        return json.dumps(self.plain())

    def copy(self) -> Node:
        """Return a copy of this node and all below; the copy is a root."""
        made: Node = pickle.loads(pickle.dumps(self))
        return made

    def __getstate__(self) -> dict[str, Any]:
        return {"name": self.name, "children": self.children}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["name"], *state["children"])  # type: ignore[misc]


class Proxy:
    """Passes on to a node what it does not know itself; counts the accesses."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._count = 0

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        self._count += 1
        return getattr(self._node, name)


def is_even(number: int) -> bool:
    """Whether a number is even, also below zero."""
    return True if number == 0 else is_odd(abs(number) - 1)


def is_odd(number: int) -> bool:
    return False if number == 0 else is_even(abs(number) - 1)
