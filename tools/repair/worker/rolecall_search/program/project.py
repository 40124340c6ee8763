"""Which files belong to the program under repair, and their parsed sources.

Owns the boundary between program, tests and third-party code. It edits nothing.
"""

from __future__ import annotations

import os
import re
import sysconfig
from typing import Any, Optional

import pytest

from rolecall_search.program.source import SourceFile

SKIPPED_PARTS = frozenset(
    {"site-packages", "dist-packages", ".git", ".rolecall", "build", "dist", ".tox", ".nox",
     "node_modules", "__pycache__", ".eggs", "tests", "test", "testing_data"}
)  # fmt: skip
TEST_FILE = re.compile(r"^(test_.*|.*_test|tests|conftest|setup|noxfile)\.py$")


class Project:
    """The files of one repository."""

    def __init__(self, root: str, base: Optional[dict[str, str]] = None) -> None:
        self.root = root
        self._base = base or {}
        self._test_files: set[str] = set()
        self._known: dict[str, str] = {}
        self._inside: dict[str, bool] = {}
        self._sources: dict[str, Optional[SourceFile]] = {}
        # To follow every link of hundreds of files of the standard library takes longer than all else here.
        files = (os.__file__, os.path.dirname(pytest.__file__))
        self._foreign = tuple(os.path.dirname(file) + os.sep for file in files)
        self._outside = tuple(
            os.path.realpath(path) + os.sep
            for path in {sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")}
            if path
        )

    def add_tests(self, items: list[Any]) -> None:
        """Learn which files tests were collected from."""
        for item in items:
            # With --doctest-modules, the program's own files are collected for the examples in them.
            if type(item).__name__ != "DoctestItem":
                self._test_files.add(os.path.realpath(str(item.path)))
        self._known.clear()

    def real(self, name: str) -> str:
        """The real path of a source of the program, or "" for any other file."""
        if name not in self._known:
            path = "" if name.startswith(self._foreign) else os.path.realpath(name)
            self._known[name] = path if self._is_source(path) else ""
        return self._known[name]

    def wanted(self, name: str) -> bool:
        """Whether the file is a source of the program."""
        return bool(self.real(name))

    def within(self, name: str) -> bool:
        """Whether the file stands in the repository: of the program, of its tests, or beside them."""
        if name not in self._inside:
            path = "" if name.startswith(("<", *self._foreign)) else os.path.realpath(name)
            self._inside[name] = path.startswith(self.root + os.sep) and not path.startswith(self._outside)
        return self._inside[name]

    def _is_source(self, path: str) -> bool:
        if not path.endswith(".py") or not path.startswith(self.root + os.sep):
            return False
        if path in self._test_files or path.startswith(self._outside):
            return False
        parts = os.path.relpath(path, self.root).split(os.sep)
        if TEST_FILE.match(parts[-1]) or not os.path.isfile(path):
            return False
        return not any(part in SKIPPED_PARTS or _is_venv(self.root, parts, at)
                       for at, part in enumerate(parts[:-1]))  # fmt: skip

    def source(self, path: str) -> Optional[SourceFile]:
        """The parsed file, or None when it can't be parsed."""
        if path not in self._sources:
            try:
                rel = os.path.relpath(path, self.root).replace(os.sep, "/")
                self._sources[path] = SourceFile.load(path, rel, self._base.get(path))
            except (SyntaxError, UnicodeDecodeError, OSError, LookupError):
                self._sources[path] = None
        return self._sources[path]


def _is_venv(root: str, parts: list[str], at: int) -> bool:
    return os.path.isfile(os.path.join(root, *parts[: at + 1], "pyvenv.cfg"))
