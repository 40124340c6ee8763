"""Submodules in a worktree: their checked-out files are copied so that builds and tests find them. Changes made
in them are not kept; the file tools refuse such paths, and the run says so."""

import asyncio
import shutil
from pathlib import Path

from tools.git import Git
from tools.staging import tracked_and_new

_GITLINK = "160000"


async def submodule_paths(git: Git) -> tuple[str, ...]:
    """Paths of the submodules in the index of a working tree."""
    entries = await git.names("ls-files", "--stage", "-z")
    return tuple(entry.partition("\t")[2] for entry in entries if entry.startswith(_GITLINK))


async def fill_submodules(user: Git, repo: Path, root: Path) -> tuple[str, ...]:
    """Copy the files of the user's initialized submodules into the worktree.

    Returns:
        One sentence for each submodule on what became of it.
    """
    told = []
    for path in await submodule_paths(user):
        if not (repo / path / ".git").exists():
            told.append(f"the submodule {path} is not checked out, so its files are missing in the worktree too")
            continue
        names = await tracked_and_new(Git(repo / path))
        await asyncio.to_thread(_copy, repo / path, root / path, names)
        told.append(f"the submodule {path} is there as a copy: rolecall does not change it")
    return tuple(told)


def _copy(source: Path, target: Path, names: list[str]) -> None:
    for name in names:
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if (source / name).is_symlink() or (source / name).is_file():
            shutil.copy2(source / name, place, follow_symlinks=False)
