"""Adopts a `.rolecall/` without our mark: the user says it is theirs, and only plain rows are kept."""

import asyncio
import json
import sqlite3
import stat
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from core.errors import RepositoryError
from core.storage import ownership
from core.storage.database_file import drop_programs, open_file
from core.storage.layout import WORKTREES, RepoLayout
from core.storage.migrations import REPOSITORY
from core.storage.thread_ids import is_thread_id
from tools.git.command import Git
from tools.git.state_folder import require_untracked

_TRUSTING = ("trust_project", "config", "models", "checks")
"""Options of a thread that name programs, files or servers; whoever adopts it must give them again."""
_LARGEST_LINK = 4096


@dataclass(frozen=True, slots=True)
class AdoptedFolder:
    """What was found in the directory, and left behind."""

    threads: int = 0
    dropped: tuple[str, ...] = ()
    """Triggers and views, by kind and name."""
    removed: int = 0
    """Rows of the list of threads whose id is not a UUID."""


async def adopt_folder(top: Path) -> AdoptedFolder:
    """Clean the contents of `.rolecall/` and add this user's mark.

    Args:
        top: Top level of the checkout.

    Raises:
        RepositoryError: There is none, git tracks it, it is a link or another user's, its database contains more
            than tables of plain columns, or a worktree in it belongs to another repository. It has no mark then.
    """
    layout = RepoLayout(top)
    await require_untracked(layout)
    if await asyncio.to_thread(ownership.folder_ownership, layout) == "absent":
        raise RepositoryError(f"there is no {layout.folder} to adopt")
    await _require_own_worktrees(layout)
    cleaned = await asyncio.to_thread(_clean, layout.database)
    await asyncio.to_thread(ownership.adopt_state_folder, layout)
    return cleaned


def _clean(database: Path) -> AdoptedFolder:
    if not database.is_file():
        return AdoptedFolder()
    with closing(open_file(database, REPOSITORY, checked=False)) as db:
        _require_plain_tables(db, database)
        dropped = drop_programs(db)
        if db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'threads'").fetchone() is None:
            return AdoptedFolder(dropped=dropped)
        found = db.execute("SELECT thread_id, options FROM threads").fetchall()
        for thread, options in found:
            if is_thread_id(thread):
                db.execute("UPDATE threads SET options = ? WHERE thread_id = ?", (_kept(options), thread))
            else:
                db.execute("DELETE FROM threads WHERE thread_id IS ?", (thread,))
    good = sum(is_thread_id(thread) for thread, _ in found)
    return AdoptedFolder(good, dropped, len(found) - good)


def _kept(options: object) -> str:
    try:
        known = json.loads(str(options))
    except (ValueError, RecursionError):
        known = {}
    known = known if isinstance(known, dict) else {}
    return json.dumps({name: value for name, value in known.items() if name not in _TRUSTING})


def _require_plain_tables(db: sqlite3.Connection, database: Path) -> None:
    """Require that no table has computed contents."""
    query = """SELECT m.name FROM sqlite_master m WHERE m.type = 'table' AND (
                   m.rootpage = 0 OR EXISTS (SELECT 1 FROM pragma_table_xinfo(m.name) c WHERE c.hidden <> 0))"""
    found = db.execute(query).fetchone()
    if found is not None:
        raise RepositoryError(
            f"{database} contains the table {str(found[0])[:80]!r}, which is not one of rolecall's",
            hint="delete the directory; branches rolecall/… keep its threads' work",
        )


async def _require_own_worktrees(layout: RepoLayout) -> None:
    """Require that each worktree belongs to this repository; git would otherwise read its configuration elsewhere."""
    common = Path(await Git(layout.repo).run("rev-parse", "--path-format=absolute", "--git-common-dir"))
    foreign = await asyncio.to_thread(_foreign, layout.folder / WORKTREES, common / "worktrees")
    if foreign:
        raise RepositoryError(
            f"{foreign[0]} is not a worktree of this repository",
            hint="delete it (its branch keeps what was committed), then adopt the directory again",
        )


def _foreign(folder: Path, registered: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [path for path in sorted(folder.iterdir()) if not _leads_to(path, registered.resolve())]


def _leads_to(path: Path, registered: Path) -> bool:
    link = path / ".git"
    try:
        if not stat.S_ISDIR(path.lstat().st_mode) or not stat.S_ISREG(link.lstat().st_mode):
            return False
        with link.open("rb") as file:
            text = file.read(_LARGEST_LINK).decode("utf-8", "surrogateescape")
    except OSError:
        return False
    place = Path(text.removeprefix("gitdir:").strip())
    return text.startswith("gitdir:") and ".." not in place.parts and place.parent == registered
