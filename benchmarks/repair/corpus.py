"""The corpus: which bugs there are and where their text lives.

Owns the manifest's shape and the reading of `mutated.json`, `handmade/*/bugs.json` and
`hard/*/bugs.json`. Fetching packages and building repositories is the business of `prepare`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

HERE = Path(__file__).parent
MANIFEST = HERE / "mutated.json"
HANDMADE = HERE / "handmade"
HARD = HERE / "hard"

Kind = Literal["mutated", "handmade", "hard"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Package(_Frozen):
    """One pinned source distribution and what its own tests need."""

    name: str
    version: str
    sha256: str
    sources: tuple[str, ...]
    requires: tuple[str, ...] = ()
    pythonpath: str = ""


class Change(_Frozen):
    """One replacement of text in one file."""

    path: str
    line: int
    old: str
    new: str

    def inject(self, source: str) -> str:
        """Return `source` with the change in it.

        Raises:
            ValueError: `old` is not at `line` of the source, so the corpus does not fit the file.
        """
        return _replace_at(source, self.line, self.old, self.new)

    def mend(self, source: str) -> str:
        """Return the original of a source that carries the change."""
        return _replace_at(source, self.line, self.new, self.old)


class Bug(Change):
    """A replacement of text that turns a green program red, and in a few bugs a second one."""

    id: str
    kind: Kind
    program: str
    operator: str
    failing: tuple[str, ...] = ()
    also: tuple[Change, ...] = ()
    """Further faults in the same program, independent of the first."""
    mendable: bool = True
    """Whether putting one place of the program right is enough: not so where the tests are at fault."""

    def changes(self) -> dict[str, list[Change]]:
        """Return the changes of each file in the order of its lines."""
        files: dict[str, list[Change]] = {}
        for change in sorted((self, *self.also), key=lambda c: c.line):
            files.setdefault(change.path, []).append(change)
        return files

    def write(self, root: Path) -> None:
        """Put the bug into the program at `root`; the last line first, as that moves no other."""
        for path, changes in self.changes().items():
            source = (root / path).read_bytes().decode("utf-8")
            for change in reversed(changes):
                source = change.inject(source)
            (root / path).write_bytes(source.encode("utf-8"))

    def originals(self, root: Path) -> dict[str, str]:
        """Return the text each faulty file at `root` had before."""
        texts = {}
        for path, changes in self.changes().items():
            source = (root / path).read_bytes().decode("utf-8")
            for change in changes:
                source = change.mend(source)
            texts[path] = source
        return texts


class Manifest(_Frozen):
    """The mutated half: pinned packages, and the lines changed in them."""

    tool: str
    seed: int
    packages: tuple[Package, ...]
    bugs: tuple[Bug, ...]


def load_manifest(path: Path = MANIFEST) -> Manifest:
    """Read the list of mutated bugs."""
    return Manifest.model_validate_json(path.read_text(encoding="utf-8"))


def load_handmade(folder: Path = HANDMADE, kind: Kind = "handmade") -> tuple[Bug, ...]:
    """Read every `bugs.json` of the programs in `folder`; the line numbers are found, not stored."""
    bugs: list[Bug] = []
    for listing in sorted(folder.glob("*/bugs.json")):
        entries = json.loads(listing.read_text(encoding="utf-8"))
        bugs.extend(_handmade_bug(listing.parent, kind, entry) for entry in entries)
    return tuple(bugs)


def load_hard(folder: Path = HARD) -> tuple[Bug, ...]:
    """Read the bugs that hang, kill the interpreter or recurse without end."""
    return load_handmade(folder, "hard")


def home(bug: Bug, corpus: Path = HERE) -> Path:
    """Return the folder in which one of our own programs stands."""
    return corpus / bug.kind / bug.program


def _handmade_bug(root: Path, kind: Kind, entry: Mapping[str, Any]) -> Bug:
    name = f"{root.name}:{entry['name']}"
    first, *others = (_located(root, name, part) for part in (entry, *entry.get("also", ())))
    return Bug(
        id=name,
        kind=kind,
        program=root.name,
        operator=entry["category"],
        failing=tuple(entry.get("failing", ())),
        also=tuple(others),
        mendable=entry.get("mendable", True),
        **first.model_dump(),
    )


def _located(root: Path, name: str, part: Mapping[str, str]) -> Change:
    path, old = part["path"], part["old"]
    source = (root / path).read_text(encoding="utf-8")
    if source.count(old) != 1:
        msg = f"{name}: {old!r} is not exactly once in {path}"
        raise ValueError(msg)
    return Change(path=path, line=source[: source.index(old)].count("\n") + 1, old=old, new=part["new"])


def _replace_at(source: str, line: int, old: str, new: str) -> str:
    lines = source.splitlines(keepends=True)
    start = sum(map(len, lines[: line - 1]))
    found = source.find(old, start)
    if found < 0 or source.count("\n", 0, found) != line - 1:
        raise ValueError(f"line {line} does not hold {old!r}")
    return source[:found] + new + source[found + len(old) :]
