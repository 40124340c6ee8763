"""Whether a directory belongs to a repository rolecall can use, and one sentence why not. Owns the
line in `.git/info/exclude` and no other file."""

import asyncio
from pathlib import Path

from core.errors import RepositoryError
from core.storage.layout import FOLDER
from tools.git.command import Git

_EXCLUDED = f"/{FOLDER}/"
_FIRST_COMMIT = "git add -A && git commit -m 'First commit'"


async def find_top(folder: Path) -> Path:
    """The top level of the working tree around a directory, symlinks resolved.

    Raises:
        RepositoryError: Not a directory, no git, no repository, bare, inside `.git`, or without a commit.
    """
    folder = await asyncio.to_thread(_resolved, folder)
    git = Git(folder, discover=True)
    # Later words are missing where an earlier one ended it.
    found = await git.try_run(
        "rev-parse", "--is-bare-repository", "--is-inside-git-dir", "--show-toplevel", "HEAD^{commit}"
    )
    lines = found.out.removesuffix("\n").split("\n")
    if len(lines) < 2:
        raise _no_repository(folder, found.reason)
    if lines[0] == "true":
        raise RepositoryError(
            f"{folder} is a bare repository, which has no files to work on",
            hint=f"clone it (`git clone {folder} work`) and give the clone with --repo",
        )
    if lines[1] == "true":
        raise RepositoryError(f"{folder} is inside a .git directory", hint="give the working tree's directory")
    if found.code != 0:
        top = lines[2] if len(lines) > 2 else str(folder)
        raise RepositoryError(
            f"{top} has no commits yet, and rolecall needs one to branch from",
            hint=f"create a first commit: {_FIRST_COMMIT}",
        )
    return Path(lines[2])


async def exclude_rolecall(git: Git) -> None:
    """List `.rolecall/` in the repository's own exclude file, once; never in the user's .gitignore."""
    place = await git.place()
    await asyncio.to_thread(_append_line, place.common_dir / "info" / "exclude", _EXCLUDED)


def _no_repository(folder: Path, reason: str) -> RepositoryError:
    if "dubious ownership" in reason or "safe.directory" in reason:
        return RepositoryError(
            f"git does not trust {folder}, because it belongs to another user",
            hint=f"if you trust it: git config --global --add safe.directory {folder}",
        )
    if "not a git repository" not in reason:
        return RepositoryError(f"git cannot read {folder}: {reason}")
    return RepositoryError(
        f"{folder} is not a git repository", hint=f"initialize it: cd {folder} && git init && {_FIRST_COMMIT}"
    )


def _resolved(folder: Path) -> Path:
    return folder.expanduser().resolve()


def _append_line(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = path.read_text(encoding="utf-8", errors="surrogateescape") if path.exists() else ""
    if line not in text.splitlines():
        gap = "" if not text or text.endswith("\n") else "\n"
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{gap}{line}\n")
