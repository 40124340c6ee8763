"""What the program keeps from one test to the next, and whether a try changed it.

Owns the look at modules, classes, caches, parameters of tests and temporary files. It changes none of them.
"""

from __future__ import annotations

import _random
import builtins
import functools
import gc
import os
import sys
import threading
from collections import deque
from operator import is_
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any, Callable, Iterable

MOST_KEPT = 3000
PLAIN = frozenset(
    {str, bytes, int, float, complex, bool, range, slice, type(None), type(...), type(NotImplemented),
     CodeType, ModuleType, BuiltinFunctionType}
)  # fmt: skip
# What these hold is looked at, but they cannot be changed themselves; of functions the edits change the code.
FIXED = (tuple, frozenset, FunctionType, type)
# Their state is not that of the program, or nothing of it.
ASIDE = frozenset({"logging", "_pytest", "pytest", "pluggy", "threading", "_thread", "weakref", "re"})
# Nobody can see from outside what these hold.
CLOSED = (bytearray, _random.Random)
CLOSED_FROM = frozenset({"array", "mmap", "sqlite3", "socket", "ctypes", "_ctypes"})
CACHED = type(functools.lru_cache(len))
NOTES = "__warningregistry__"


class State:
    """The things a program can reach from its modules, with what each of them held."""

    def __init__(self, wanted: Callable[[str], bool], others: Iterable[object]) -> None:
        """Look at the modules of which the file is wanted, and at `others`."""
        self.hidden = False
        """Whether something was found of which nobody can see what it holds."""
        self._wanted = wanted
        modules = self._own_modules()
        tables = [vars(module) for module in modules.values()]
        for table in tables:
            # A warning adds its table to the module that it is about.
            table.setdefault(NOTES, {})
        self._names = frozenset(modules)
        self._globals = {id(table) for table in tables}
        self._held: list[tuple[Any, list[Any]]] = []
        self._seen = {id(vars(builtins)), *(id(table[NOTES]) for table in tables)}
        self._look([*tables, *others])
        self._count = len(sys.modules)
        self._surroundings = surroundings()

    def begin(self) -> None:
        """Take what surrounds this process, such as its temporary folder, for what has to stay."""
        self._surroundings = surroundings()

    def changed(self) -> bool:
        """Whether something holds other things than before, or a module, thread or file of the program came."""
        if len(sys.modules) != self._count:
            self._count = len(sys.modules)
            if self._own_modules().keys() != self._names:
                return True
        for thing, before in self._held:
            now = gc.get_referents(thing)
            if len(now) != len(before) or not all(map(is_, now, before)):
                return True
        return surroundings() != self._surroundings

    def _own_modules(self) -> dict[str, ModuleType]:
        found = {}
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if isinstance(module, ModuleType) and isinstance(file, str) and self._wanted(file):
                found[name] = module
        return found

    def _look(self, roots: list[Any]) -> None:
        """Breadth first, so that what is left out of a large heap is what stands furthest from the modules."""
        todo = deque(thing for thing in roots if self._followed(thing))
        while todo and len(self._held) < MOST_KEPT:
            thing = todo.popleft()
            inner = gc.get_referents(thing)
            if not isinstance(thing, FIXED):
                self._held.append((thing, inner))
            todo.extend(each for each in inner if self._followed(each))

    def _followed(self, thing: Any) -> bool:
        kind = type(thing)
        if kind in PLAIN or id(thing) in self._seen:
            return False
        self._seen.add(id(thing))
        if kind is CACHED:
            thing = thing.__wrapped__
            kind = type(thing)
        if kind is FunctionType:
            return id(thing.__globals__) in self._globals
        if isinstance(thing, type):
            return type.__getattribute__(thing, "__module__") in self._names
        origin = kind.__module__.partition(".")[0]
        if origin in ASIDE:
            return False
        if issubclass(kind, CLOSED) or origin in CLOSED_FROM or hasattr(kind, "__next__"):
            self.hidden = True
        return True


def surroundings() -> tuple[Any, ...]:
    """The working directory, the environment, the threads, and the files left in the temporary folder."""
    files = os.listdir(os.environ["TMPDIR"]) if os.path.isdir(os.environ.get("TMPDIR", "")) else []
    kept = sorted(name for name in files if not name.startswith("pytest-of-"))
    return os.getcwd(), dict(os.environ), threading.active_count(), kept
