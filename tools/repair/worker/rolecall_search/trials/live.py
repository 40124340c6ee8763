"""Putting an edit into a running interpreter: swapping the code of live functions.

Owns the map from source units to live functions. It is used inside forked children only.
"""

from __future__ import annotations

import gc
import os
import sys
from importlib.machinery import SourceFileLoader
from types import CodeType, FunctionType
from typing import Callable, Iterator

from rolecall_search.program.source import SourceFile, Unit

Overrides = dict[str, str]


class CannotSwapError(Exception):
    """The new code does not fit the live functions: it needs a fresh import."""


class LiveCode:
    """The live functions of the program, by file."""

    def __init__(self, real: Callable[[str], str]) -> None:
        """Find them; `real` gives the real path of a source of the program, or "" for any other file."""
        self._functions: dict[str, list[FunctionType]] = {}
        for thing in gc.get_objects():
            if type(thing) is FunctionType:
                path = real(thing.__code__.co_filename)
                if path:
                    self._functions.setdefault(path, []).append(thing)
        files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
        self.imported = {real(file) for file in files if isinstance(file, str)}

    def swap(self, source: SourceFile, unit: Unit, new: CodeType) -> list[tuple[FunctionType, CodeType]]:
        """Give the unit's live functions the new code; raises `CannotSwapError`.

        Returns:
            The functions, each with the code it had.
        """
        functions = self._functions.get(source.path, [])
        roots = {id(code): code for code in self._roots(functions, unit)}
        if not roots:
            raise CannotSwapError
        fresh = {}
        for root in roots.values():
            fresh.update({id(old): code for old, code in pairs(root, new)})
        swapped = []
        for function in functions:
            old = function.__code__
            code = fresh.get(id(old))
            if code is not None:
                try:
                    function.__code__ = code
                except ValueError as error:
                    put_back(swapped)
                    raise CannotSwapError from error
                swapped.append((function, old))
        return swapped

    def functions_of(self, source: SourceFile, unit: Unit) -> list[FunctionType]:
        """The live functions a unit defines at its top level."""
        functions = self._functions.get(source.path, [])
        codes = {id(code) for code in self._roots(functions, unit)}
        return [function for function in functions if id(function.__code__) in codes]

    @staticmethod
    def _roots(functions: list[FunctionType], unit: Unit) -> Iterator[CodeType]:
        for function in functions:
            code = function.__code__
            line = code.co_firstlineno
            if code.co_name == unit.node.name and unit.first_line <= line <= unit.node.lineno:
                yield code


def put_back(swapped: list[tuple[FunctionType, CodeType]]) -> None:
    """Give functions the code they had before a swap."""
    for function, code in swapped:
        function.__code__ = code


def pairs(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """Match the code objects nested in two versions of a function."""
    yield old, new
    olds, news = _nested(old), _nested(new)
    for key, inner in olds.items():
        if key in news:
            yield from pairs(inner, news[key])


def _nested(code: CodeType) -> dict[tuple[str, int], CodeType]:
    found: dict[tuple[str, int], CodeType] = {}
    for const in code.co_consts:
        if isinstance(const, CodeType):
            rank = sum(1 for name, _ in found if name == const.co_name)
            found[const.co_name, rank] = const
    return found


def override_imports(overrides: Overrides) -> None:
    """From now on, import the given files with the given text; nothing is read from caches."""
    original = SourceFileLoader.get_code

    def get_code(self: SourceFileLoader, fullname: str) -> CodeType:
        text = overrides.get(os.path.realpath(self.path))
        if text is None:
            return original(self, fullname)
        return compile(text, self.path, "exec", dont_inherit=True)

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign,assignment]
