"""Files a build left beside the sources: version modules, compiled extensions, generated code. Git ignores them, yet
the package cannot be imported without them, so a worktree gets copies, except of those that may contain secrets."""

import asyncio
import shutil
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from tools.git.command import Git
from tools.worktree.staging_rules import StagingRules

_SUFFIXES = {".py", ".pyi", ".so", ".pyd", ".dylib"}
_MAX_BYTES = 64 * 2**20


async def copy_generated(user: Git, root: Path, tracked: Iterable[str], rules: StagingRules) -> list[str]:
    """Copy ignored importable files in directories with tracked files; existing ones stay.

    Args:
        user: Git in the user's checkout.
        root: The worktree.
        tracked: The tracked files.
        rules: Whose secrets are not copied.

    Returns:
        What was left out because it holds a secret, relative.
    """
    # Folders that are ignored as a whole, such as a venv, come as one entry and are passed over.
    git = await user.isolated()
    ignored = await git.names("ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z")
    folders = {str(PurePosixPath(name).parent) for name in tracked}
    wanted = [name for name in ignored
              if PurePosixPath(name).suffix in _SUFFIXES and str(PurePosixPath(name).parent) in folders
              and not rules.secret_files.hides(name)]  # fmt: skip
    return await asyncio.to_thread(_copy, user.folder, root, wanted, rules)


def _copy(repo: Path, root: Path, names: list[str], rules: StagingRules) -> list[str]:
    secret = []
    for name in names:
        source, target = repo / name, root / name
        if target.exists() or source.is_symlink() or not source.is_file() or source.stat().st_size > _MAX_BYTES:
            continue
        if rules.secrets_in(source, name):
            secret.append(name)
        elif target.parent.is_dir():
            shutil.copy2(source, target)
    return secret
