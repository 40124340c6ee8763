"""How the files of a working tree become a git tree, new files included. Owns what counts as a file worth
keeping; touches only the index file it is given."""

from collections.abc import Collection, Sequence
from pathlib import Path

from tools.git import Git

JUNK = (
    "/.rolecall/", "__pycache__/", "*.pyc", ".pytest_cache/", ".mypy_cache/", ".ruff_cache/", ".tox/", ".nox/",
    ".hypothesis/", ".coverage", ".venv/", "node_modules/", "*.egg-info/",
)  # fmt: skip
"""What runs leave behind; a repository without a .gitignore would get it into its commits otherwise."""

_CACHE_MARK = "CACHEDIR.TAG"
MAX_NEW_FILE = 64 * 2**20
MAX_NEW_FILES = 512 * 2**20
"""Bytes of one new file, and of all of them, that are taken into a worktree."""


async def new_files(git: Git, *, index: Path | None = None) -> list[str]:
    """Files neither tracked, ignored, nor left behind by runs. Nested repositories are left out."""
    excludes = [part for pattern in JUNK for part in ("-x", pattern)]
    listed = await git.names("ls-files", "--others", "--exclude-standard", *excludes, "-z", index=index)
    # The mark that builders and caches leave in folders nobody needs to keep, such as cargo's target.
    caches = tuple(name.removesuffix(_CACHE_MARK) for name in listed if name.endswith(f"/{_CACHE_MARK}"))
    return [name for name in listed if not name.endswith("/") and not name.startswith(caches)]


async def stage_all(git: Git, *, index: Path | None = None, left_out: Collection[str] = ()) -> str:
    """Bring an index to the present content of the working tree.

    Args:
        git: The working tree.
        index: The index file; the working tree's own when `None`.
        left_out: New files that are not taken.

    Returns:
        The id of the tree.

    Raises:
        RepositoryError: A file cannot be read, or the index is unmerged.
    """
    await git.run("add", "--update", index=index)
    names = [name for name in await new_files(git, index=index) if name not in left_out]
    if names:
        await git.run("update-index", "--add", "-z", "--stdin", stdin="\0".join(names) + "\0", index=index)
    return await git.run("write-tree", index=index)


def oversized(folder: Path, names: Sequence[str]) -> set[str]:
    """New files that would bloat a repository: data sets and dumps no .gitignore names yet; blocking.

    Args:
        folder: The working tree.
        names: New files in it.
    """
    sizes = {name: (folder / name).lstat().st_size for name in names if (folder / name).is_file()}
    total, large = sum(sizes.values()), set()
    for name in sorted(sizes, key=lambda name: sizes[name], reverse=True):
        if sizes[name] <= MAX_NEW_FILE and total <= MAX_NEW_FILES:
            break
        large.add(name)
        total -= sizes[name]
    return large


async def tracked_and_new(git: Git) -> list[str]:
    """The files of the working tree as a developer sees them, sorted."""
    tracked = set(await git.names("ls-files", "--cached", "-z"))
    gone = set(await git.names("ls-files", "--deleted", "-z"))
    return sorted((tracked - gone) | set(await new_files(git)))
