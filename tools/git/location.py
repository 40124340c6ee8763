"""Where git is told to work. Owns what is found without asking git: git directory and working tree of a directory, for
which git would trust whatever `.git` is there, refs that have their own file, and which `git` program on the
PATH is not the target's own."""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import RepositoryError
from core.storage.layout import FOLDER, WORKTREES

_WORKTREES = (FOLDER, WORKTREES)
_OBJECT_NAME = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
_LONGEST_OBJECT_NAME = 64


@dataclass(frozen=True, slots=True)
class GitLocation:
    """A working tree with the git directory that belongs to it."""

    git_dir: Path
    """Its own git directory: for a linked worktree the one in the repository's `worktrees/`."""
    common_dir: Path
    """The one that all worktrees of the repository share."""
    work_tree: Path

    @property
    def index(self) -> Path:
        """The index file of the working tree."""
        return self.git_dir / "index"

    @property
    def objects(self) -> Path:
        """Where objects are stored."""
        return self.common_dir / "objects"


def locate(folder: Path) -> GitLocation | None:
    """The location of the top level of a working tree; `None` if git has to find it; blocking.

    For a worktree of rolecall the repository is asked, never the `.git` in the worktree: commands can replace that.

    Raises:
        RepositoryError: A rolecall worktree that its repository does not know.
    """
    owner = owning_checkout(folder)
    if owner is None:
        return _place_at(folder)
    home = _place_at(owner)
    private = None if home is None else registered_git_dir(home.common_dir, folder)
    if home is None or private is None:
        raise RepositoryError(
            f"the worktree {folder} is no longer registered in its repository",
            hint="resume the thread: the worktree is recreated from its branch",
        )
    return GitLocation(private, home.common_dir, folder)


def owning_checkout(folder: Path) -> Path | None:
    """The checkout whose thread works in a directory; `None` when it is not a rolecall worktree."""
    parents = folder.parents
    if len(parents) > len(_WORKTREES) and folder.parent.parts[-2:] == _WORKTREES:
        return parents[2]
    return None


def registered_git_dir(common_dir: Path, folder: Path) -> Path | None:
    """The private git directory of a linked worktree, found by what git wrote when creating it; blocking."""
    wanted = os.path.normpath(folder / ".git")
    for entry in sorted((common_dir / "worktrees").glob("*/gitdir")):
        written = os.path.normpath(entry.parent / entry.read_text(encoding="utf-8", errors="surrogateescape").strip())
        if written == wanted:
            return entry.parent
    return None


def loose_ref(common_dir: Path, ref: str) -> str | None:
    """The object a shared ref names, if it has its own file; blocking. git knows the others."""
    try:
        with (common_dir / ref).open("rb") as file:
            found = file.read(_LONGEST_OBJECT_NAME + 2)
    except OSError:
        return None
    name = found.decode("ascii", "replace").removesuffix("\n")
    return name if _OBJECT_NAME.fullmatch(name) else None


def safe_path(folder: Path, path: str) -> str:
    """A PATH without relative directories and without those inside the repository; blocking."""
    own = tuple(_own_folders(folder))
    kept = [entry for entry in path.split(os.pathsep)
            if Path(entry).is_absolute() and not any(_inside(entry, top) for top in own)]  # fmt: skip
    return os.pathsep.join(kept)


def git_program(folder: Path) -> tuple[str | None, str]:
    """The git to run for a directory, and the PATH it gets; blocking."""
    path = safe_path(folder, os.environ.get("PATH", os.defpath))
    return shutil.which("git", path=path) if path else None, path


def git_command(folder: Path, *args: str) -> tuple[list[str], dict[str, str]]:
    """A command line of git that only looks, and its environment, for who is not in an event loop; blocking."""
    program, path = git_program(folder)
    safe = {"PATH": path, "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
    return [program or "git", "-c", "core.fsmonitor=false", *args], {**os.environ, **safe}


def _own_folders(folder: Path) -> Iterator[Path]:
    """What belongs to the target: the working tree around the directory, and the checkout of a rolecall worktree."""
    for candidate in (folder, *folder.parents):
        owner = owning_checkout(candidate)
        if owner is not None:
            yield owner
            return
        if (candidate / ".git").exists():
            yield candidate
            return
    yield folder


def _inside(entry: str, top: Path) -> bool:
    return any(Path(form).is_relative_to(top) for form in (os.path.normpath(entry), os.path.realpath(entry)))


def _place_at(folder: Path) -> GitLocation | None:
    entry = folder / ".git"
    if entry.is_dir():
        git_dir = entry
    elif entry.is_file():
        text = entry.read_text(encoding="utf-8", errors="surrogateescape")
        if not text.startswith("gitdir:"):
            return None
        git_dir = Path(os.path.normpath(folder / text.removeprefix("gitdir:").strip()))
    else:
        return None
    common = git_dir / "commondir"
    if not common.is_file():
        return GitLocation(git_dir, git_dir, folder)
    shared = common.read_text(encoding="utf-8", errors="surrogateescape").strip()
    return GitLocation(git_dir, Path(os.path.normpath(git_dir / shared)), folder)
