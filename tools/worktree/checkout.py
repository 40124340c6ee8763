"""Writes the files of a worktree: from a tree, with no filter, without those that look secret. Owns the
worktree's registration with git and its removal; knows nothing of threads."""

import asyncio
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.secret_files import SecretFiles
from core.storage.layout import RepoLayout
from tools.git.command import Git
from tools.git.location import GitLocation, registered_git_dir
from tools.worktree.staging import GITLINK, attributes_of

_SPARSE = ("-c", "core.sparseCheckout=true")


@dataclass(frozen=True, slots=True)
class CheckoutResult:
    """What a tree contains."""

    names: tuple[str, ...]
    """Its files."""
    links: tuple[str, ...]
    """Its submodules."""
    hidden: tuple[str, ...]
    """Files that were not written because their names look secret; the index keeps them."""


class Checkout:
    """Writes the files of a worktree, through its git."""

    def __init__(self, git: Git) -> None:
        self._git = git

    async def fill(self, tree: str, secret_files: SecretFiles) -> CheckoutResult:
        """Set index and files of the worktree to a tree; ignored files stay.

        Raises:
            RepositoryError: git could not write them.
        """
        git = await self._git.isolated()
        entries = await git.names("ls-tree", "-r", "-z", tree)
        modes = {entry.partition("\t")[2]: entry[:6] for entry in entries}
        links = tuple(name for name, mode in modes.items() if mode == GITLINK)
        names = tuple(name for name, mode in modes.items() if mode != GITLINK)
        hidden = tuple(secret_files.hidden_among(names))
        await git.run(*await self._sparse(hidden), "read-tree", "--reset", "-u", tree)
        await git.note_tree((await git.place()).index, tree)
        return CheckoutResult(names, links, hidden)

    async def hide(self, secret_files: SecretFiles) -> None:
        """Remove secret-looking files from the worktree and add those that may be shown now; others stay."""
        git = await self._git.isolated()
        tagged = await git.names("ls-files", "-t", "--cached", "-z")
        away = {entry[2:] for entry in tagged if entry[0] in "Ss"}
        hidden = set(secret_files.hidden_among(entry[2:] for entry in tagged))
        if away != hidden and not await self._narrowed():
            tree = await git.run("write-tree", "--missing-ok")
            await self._sparse(sorted(hidden))
            await git.run(*_SPARSE, "read-tree", "-m", "-u", tree)

    async def filtered(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Files whose attributes name a filter of the configuration."""
        git = await self._git.isolated()
        active = (await git.config()).filters()
        if not active or not await asyncio.to_thread(_any_filter, git.folder, names):
            return ()
        attributes = await attributes_of(git, names, "filter")
        return tuple(name for (name, _), value in attributes.items() if value in active)

    async def _sparse(self, hidden: list[str] | tuple[str, ...]) -> tuple[str, ...]:
        """Options that exclude files, besides those that the user excludes from the checkout."""
        git = await self._git.isolated()
        narrowed = await self._narrowed()
        patterns = (narrowed or "/*\n") + "".join(f"!/{_escaped(name)}\n" for name in hidden)
        target = await git.own_dir() / "info" / "sparse-checkout"
        await asyncio.to_thread(target.write_text, patterns, encoding="utf-8", errors="surrogateescape")
        return _SPARSE if hidden or narrowed else ()

    async def _narrowed(self) -> str:
        """The patterns of a user with a sparse checkout; empty for a full one."""
        place = await self._git.place()
        owner = Git(place.work_tree.parents[2])
        config = await self._git.config()
        if not config.is_on("core.sparsecheckout"):
            return ""
        file = (await owner.place()).git_dir / "info" / "sparse-checkout"
        return await asyncio.to_thread(_read, file)


def restore_link(place: GitLocation) -> None:
    """Restore the `.git` file of a worktree when it is not the one git created; blocking."""
    link, text = place.work_tree / ".git", f"gitdir: {place.git_dir}\n"
    if link.is_file() and not link.is_symlink() and _read(link) == text:
        return
    if link.is_dir() and not link.is_symlink():
        _remove(link, lambda: shutil.rmtree(link))
    else:
        link.unlink(missing_ok=True)
    link.write_text(text, encoding="utf-8", errors="surrogateescape")


def remove_worktree(common_dir: Path, layout: RepoLayout, thread_id: str) -> None:
    """Remove a worktree and its registration in git; blocking. git itself would trust the `.git` in it."""
    folder = layout.worktree(thread_id)
    _remove(folder, lambda: layout.remove_worktree(thread_id))
    private = registered_git_dir(common_dir, folder)
    if private is not None:
        _remove(private, lambda: shutil.rmtree(private))


def _remove(folder: Path, remove: Callable[[], None]) -> None:
    """Remove a folder, also where commands took the right to do so from its folders."""
    try:
        remove()
    except PermissionError:
        for top, _, _ in os.walk(folder):
            os.chmod(top, stat.S_IRWXU)  # noqa: PTH101
        remove()


def _any_filter(folder: Path, names: tuple[str, ...]) -> bool:
    files = [name for name in names if name.rpartition("/")[2] == ".gitattributes"]
    return any("filter" in _read(folder / name) for name in files)


def _escaped(name: str) -> str:
    for letter in "\\*?[":
        name = name.replace(letter, f"\\{letter}")
    # A line end cannot be written; any letter in its place is near enough.
    return name.replace("\n", "?").replace("\r", "?").replace(" ", "\\ ")


def _read(file: Path) -> str:
    if not file.is_file() or file.is_symlink():
        return ""
    return file.read_text(encoding="utf-8", errors="surrogateescape")
