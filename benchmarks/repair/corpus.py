"""The corpus: which bugs there are and where their text lives.

Owns the manifest's shape and the reading of `mutated.json` and `handmade/*/bugs.json`. Fetching
packages and building repositories is the business of `prepare`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

HERE = Path(__file__).parent
MANIFEST = HERE / "mutated.json"
HANDMADE = HERE / "handmade"

Kind = Literal["mutated", "handmade"]


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


class Bug(_Frozen):
    """One replacement of text in one file that turns a green program red."""

    id: str
    kind: Kind
    program: str
    path: str
    line: int
    operator: str
    old: str
    new: str
    failing: tuple[str, ...] = ()

    def inject(self, source: str) -> str:
        """Return `source` with the bug in it.

        Raises:
            ValueError: `old` is not at `line` of the source, so the corpus does not fit the file.
        """
        return _replace_at(source, self.line, self.old, self.new)

    def mend(self, source: str) -> str:
        """Return the original of a source that carries the bug."""
        return _replace_at(source, self.line, self.new, self.old)


class Manifest(_Frozen):
    """The mutated half: pinned packages, and the lines changed in them."""

    tool: str
    seed: int
    packages: tuple[Package, ...]
    bugs: tuple[Bug, ...]


def load_manifest(path: Path = MANIFEST) -> Manifest:
    """Read the list of mutated bugs."""
    return Manifest.model_validate_json(path.read_text(encoding="utf-8"))


def load_handmade(folder: Path = HANDMADE) -> tuple[Bug, ...]:
    """Read every `bugs.json` of the hand-made programs; the line number is found, not stored."""
    bugs: list[Bug] = []
    for listing in sorted(folder.glob("*/bugs.json")):
        program = listing.parent.name
        bugs.extend(
            _handmade_bug(listing.parent, program, entry) for entry in json.loads(listing.read_text(encoding="utf-8"))
        )
    return tuple(bugs)


def _handmade_bug(root: Path, program: str, entry: Mapping[str, str]) -> Bug:
    source = (root / entry["path"]).read_text(encoding="utf-8")
    if source.count(entry["old"]) != 1:
        msg = f"{program}/{entry['name']}: {entry['old']!r} is not exactly once in {entry['path']}"
        raise ValueError(msg)
    return Bug(
        id=f"{program}:{entry['name']}",
        kind="handmade",
        program=program,
        path=entry["path"],
        line=source[: source.index(entry["old"])].count("\n") + 1,
        operator=entry["category"],
        old=entry["old"],
        new=entry["new"],
    )


def _replace_at(source: str, line: int, old: str, new: str) -> str:
    lines = source.splitlines(keepends=True)
    start = sum(map(len, lines[: line - 1]))
    found = source.find(old, start)
    if found < 0 or source.count("\n", 0, found) != line - 1:
        raise ValueError(f"line {line} does not hold {old!r}")
    return source[:found] + new + source[found + len(old) :]
