"""Where a tool may read and write: inside the worktree, never in git's or rolecall's own folders. Resolves paths a
model gives; opens nothing."""

from dataclasses import dataclass
from pathlib import Path

from core.errors import ToolError

_PRIVATE = {".git", ".rolecall", ".hg", ".svn"}


@dataclass(frozen=True, slots=True)
class Inside:
    """A place in the worktree."""

    path: Path
    name: str
    """Relative to the worktree, as git writes it; "." for the worktree itself."""


def resolve_inside(root: Path, path: str) -> Inside:
    """The place a model means, symlinks followed; blocking.

    Args:
        root: The worktree.
        path: Relative to the worktree, or absolute inside it.

    Raises:
        ToolError: It lies outside, or in a folder that tools never touch.
    """
    text = path.strip() or "."
    if "\0" in text:
        raise ToolError("a path holds a zero byte", hint="give the path as plain text")
    base = root.resolve()
    given = Path(text)
    lexical = given if given.is_absolute() else base / given
    try:
        target = lexical.resolve()
    except (OSError, RuntimeError) as error:
        raise ToolError(f"{path} cannot be followed: {error}", hint="list the folder to see what is there") from error
    if not target.is_relative_to(base):
        raise ToolError(
            f"{path} lies outside the worktree", hint="give a path relative to the repository, as list_files shows it"
        )
    inside = target.relative_to(base)
    # Looked at as written too: `.git/../x` is no way to name a file.
    if _PRIVATE & {part.lower() for part in (*inside.parts, *_written(base, given))}:
        raise ToolError(
            f"{path} belongs to git or rolecall and is out of reach of tools", hint="use git_diff to see changes"
        )
    return Inside(target, inside.as_posix())


def _written(base: Path, given: Path) -> tuple[str, ...]:
    return given.relative_to(base).parts if given.is_relative_to(base) else given.parts
