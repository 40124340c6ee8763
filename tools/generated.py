"""Files a build left beside the sources: version modules, compiled extensions, generated code. Git ignores them, yet
the package cannot be imported without them, so a worktree gets copies. Secrets and data are not looked at."""

import asyncio
import shutil
from pathlib import Path, PurePosixPath

from tools.git import Git

_SUFFIXES = {".py", ".pyi", ".so", ".pyd", ".dylib"}
_MAX_BYTES = 64 * 2**20


async def copy_generated(user: Git, repo: Path, root: Path) -> tuple[str, ...]:
    """Copy ignored importable files that lie in folders with tracked files; existing ones stay.

    Args:
        user: Git in the user's checkout.
        repo: The user's checkout.
        root: The worktree.

    Returns:
        What was copied, relative.
    """
    # Folders that are ignored as a whole, such as a venv, come as one entry and are passed over.
    ignored = await user.names("ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z")
    tracked = {str(PurePosixPath(name).parent) for name in await user.names("ls-files", "--cached", "-z")}
    wanted = [name for name in ignored
              if PurePosixPath(name).suffix in _SUFFIXES and str(PurePosixPath(name).parent) in tracked]  # fmt: skip
    return await asyncio.to_thread(_copy, repo, root, wanted)


def _copy(repo: Path, root: Path, names: list[str]) -> tuple[str, ...]:
    copied = []
    for name in names:
        source, target = repo / name, root / name
        if target.exists() or source.is_symlink() or not source.is_file() or source.stat().st_size > _MAX_BYTES:
            continue
        if target.parent.is_dir():
            shutil.copy2(source, target)
            copied.append(name)
    return tuple(copied)
