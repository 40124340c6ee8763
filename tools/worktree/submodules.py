"""Submodules in a worktree: their checked-out files are copied so that builds and tests find them. Changes made
in them are not stored; the file tools refuse such paths, and the run says so."""

import asyncio
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from tools.git.command import Git
from tools.worktree.staging import GITLINK, tracked_and_new
from tools.worktree.staging_rules import StagingRules, name_some


async def submodule_paths(git: Git) -> tuple[str, ...]:
    """Paths of the submodules in the index of a working tree."""
    isolated = await git.isolated()
    entries = await isolated.names("ls-files", "--stage", "-z")
    return tuple(entry.partition("\t")[2] for entry in entries if entry.startswith(GITLINK))


async def fill_submodules(repo: Path, root: Path, paths: Iterable[str], rules: StagingRules) -> tuple[str, ...]:
    """Copy the files of the user's initialized submodules into the worktree, except secrets.

    Args:
        repo: The user's checkout.
        root: The worktree.
        paths: Where the submodules are.
        rules: Whose secrets are not copied.

    Returns:
        One sentence for each submodule on what became of it.
    """
    told = []
    for path in paths:
        if not (repo / path / ".git").exists():
            told.append(f"the submodule {path} is not checked out, so its files are missing from the worktree too")
            continue
        if await asyncio.to_thread(_through_link, repo, path):
            told.append(f"the submodule {path} is reached through a link, so its files are missing from the worktree")
            continue
        names = await tracked_and_new(Git(repo / path))
        secret = await asyncio.to_thread(_copy, repo / path, root / path, names, rules)
        told.append(f"the submodule {path} is a copy: rolecall does not change it")
        if secret:
            told.append(f"files of the submodule {path} that may contain secrets were not copied: {name_some(secret)}")
    return tuple(told)


def _through_link(repo: Path, path: str) -> bool:
    return Path(os.path.realpath(repo / path)) != Path(os.path.realpath(repo)) / path


def _copy(source: Path, target: Path, names: list[str], rules: StagingRules) -> list[str]:
    secret = []
    for name in names:
        place = target / name
        if rules.secret_files.hides(name) or rules.secrets_in(source / name, name):
            secret.append(name)
        elif (source / name).is_symlink() or (source / name).is_file():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, place, follow_symlinks=False)
    return secret
