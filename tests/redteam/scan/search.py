"""Looks for secrets, in every encoding, in all that runs have left."""

import bz2
import gzip
import lzma
import sqlite3
import subprocess
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from core.redaction import encodings
from graph.store.checkpoint_packing import unpack
from tests.redteam.scan.planted import Planted, Secret

_SHORTEST = 6


@dataclass(frozen=True)
class Find:
    """A secret where none may be."""

    secret: str
    where: str
    what: str
    """The text around it, the secret itself left out."""


def find(planted: Planted, where: str, data: bytes, *, tracked: bool = True) -> Iterator[Find]:
    """Secrets in some bytes, or in what they unpack to.

    Args:
        planted: All of them.
        where: Kind of place, as the table has it.
        data: What was left there.
        tracked: Look for the ones that the user committed, too.
    """
    for content in (data, *_unpacked(data)):
        for secret in planted.by_name.values():
            if secret.tracked and not tracked:
                continue
            for form in _forms(secret):
                if (place := content.find(form)) >= 0:
                    around = content[max(place - 80, 0) : place] + b"<HERE>" + content[place + len(form) :][:40]
                    yield Find(secret.name, where, around.decode("utf-8", "replace"))
                    break


def _forms(secret: Secret) -> list[bytes]:
    forms = encodings(secret.value) if len(secret.value) >= _SHORTEST else ()
    return [form.encode() for form in forms if len(form) >= _SHORTEST]


def _unpacked(data: bytes) -> Iterator[bytes]:
    for expand in (zlib.decompress, gzip.decompress, bz2.decompress, lzma.decompress, unpack):
        with suppress(zlib.error, OSError, lzma.LZMAError, ValueError, EOFError):
            yield expand(data)


def database_cells(path: Path) -> bytes:
    """Every cell of every table, one after the other, packed ones unpacked."""
    found: list[bytes] = []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        db.text_factory = bytes
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in db.execute(f'SELECT * FROM "{table.decode()}"'):
                for cell in row:
                    raw = cell if isinstance(cell, bytes) else str(cell).encode()
                    found += [raw, *_unpacked(raw)]
    return b"\n".join(found)


def git_objects(repo: Path) -> dict[str, bytes]:
    """Every object of a repository by its name, reachable or not."""
    listed = _git(repo, "cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(objecttype)").split()
    names = listed[::2]
    return {name.decode(): _git(repo, "cat-file", kind.decode(), name.decode()) for name, kind in
            zip(names, listed[1::2], strict=True)}  # fmt: skip


def git_directories(folder: Path) -> list[Path]:
    """Directories of git below a folder."""
    return sorted({head.parent for head in folder.rglob("HEAD") if (head.parent / "objects").is_dir()})


def files_of(folder: Path) -> Iterator[Path]:
    """Plain files below a folder, but for git's own, which are looked at as objects."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and "objects" not in path.parts:
            yield path


def _git(repo: Path, *words: str) -> bytes:
    return subprocess.run(["git", *words], cwd=repo, check=True, capture_output=True).stdout
