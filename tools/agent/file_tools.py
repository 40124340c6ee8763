"""The tools that list, read, edit and write files of the worktree.

Each takes the shared worktree lock, opens files by descriptor and works in a thread.
"""

import asyncio
import fnmatch
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from core.context import Context
from core.errors import ToolError
from core.redaction import Redactor
from core.secret_files import SecretFiles
from core.tool_effects import ToolEffects
from tools.agent.agent_tool import AnyToolRuntime, agent_tool
from tools.commands.outputs import FOLDER
from tools.files.file_tree import format_tree
from tools.files.path_guard import GuardedPath, existing_files, is_private, open_beneath
from tools.files.redacted_text import restore_secrets, text_page
from tools.files.text_edit import replace_once
from tools.files.text_files import MAX_BYTES, TextFile, read_text
from tools.files.worktree_lock import run_in_thread

_LOOKS = ToolEffects(reads=True, idempotent=True, confined=True)
_EDITS = ToolEffects(writes=True, idempotent=True, confined=True)
_MAX_ENTRIES = 200
_MAX_GLOB = 300


@agent_tool(_LOOKS)
async def list_files(runtime: AnyToolRuntime, path: str = ".", pattern: str = "") -> str:
    """List files in the repository; large directories are shown with their file count.

    Args:
        path: A directory, relative to the repository.
        pattern: Only names matching this pattern, for example *.py
    """
    context: Context = runtime.context
    async with context.commands.turns.shared():
        name, entries = await run_in_thread(_folder, context.workspace.root, path)
        files = await files_below(context, name)
    if not files:
        files = SecretFiles(context.settings.sandbox.show).shown_among(entries)
    files = await asyncio.to_thread(matching, files, pattern)
    return await asyncio.to_thread(format_tree, files, _MAX_ENTRIES) or "(nothing there)"


async def files_below(context: Context, folder: str) -> list[str]:
    """The tracked and new files in a directory, except those that look secret or are behind a symlink; needs a turn."""
    root = context.workspace.root
    start = "" if folder == "." else f"{folder}/"
    names = [name for name in await context.workspace.files() if name.startswith(start)]
    secret = SecretFiles(context.settings.sandbox.show)
    return await run_in_thread(lambda: secret.shown_among(existing_files(root, names)))


def matching(names: list[str], pattern: str) -> list[str]:
    """The names that match a pattern, as whole paths or by their last part.

    Raises:
        ToolError: The pattern is far too long.
    """
    if len(pattern) > _MAX_GLOB:
        raise ToolError(f"the file name pattern has {len(pattern)} characters", hint="give one such as *.py")
    if not pattern:
        return names
    return [name for name in names if fnmatch.fnmatch(name, pattern) or fnmatch.fnmatch(Path(name).name, pattern)]


@agent_tool(_LOOKS)
async def read_file(runtime: AnyToolRuntime, path: str, start: int = 1, end: int | None = None) -> str:
    """Read a text file with line numbers. Long files are returned in parts; use start to get the next part.

    Args:
        path: The file, relative to the repository, or outputs/NNN.txt for the full output of a command.
        start: First line, counted from 1.
        end: Last line; default: as many lines as fit.
    """
    return await page_of(runtime.context, path, start, end)


async def page_of(context: Context, path: str, start: int = 1, end: int | None = None) -> str:
    """A text file with line numbers and without secrets, as much of it as one tool may return. Takes a turn.

    Raises:
        ToolError: The file does not exist, is outside the worktree, looks like it contains secrets, is not text, or
            ends before `start`.
    """
    async with context.commands.turns.shared():
        return await run_in_thread(_page_of, context, path, start, end)


def _page_of(context: Context, path: str, start: int, end: int | None) -> str:
    with _readable(context, path) as place:
        text = read_text(place).text
    return text_page(text, context.redactor, start, end, context.settings.sandbox.max_output_bytes)


@agent_tool(_EDITS)
async def edit_file(runtime: AnyToolRuntime, path: str, old: str, new: str) -> str:
    """Replace text that occurs exactly once in a file. Include enough surrounding lines to make it unique.

    Args:
        path: The file, relative to the repository.
        old: The text to replace, exactly as in the file, without line numbers.
        new: The replacement text.
    """
    return await _change(runtime.context, path, lambda place, redactor: _edit(place, redactor, old, new))


def _edit(place: GuardedPath, redactor: Redactor, *texts: str) -> str:
    file = read_text(place)
    old, new = (restore_secrets(text, file.text, redactor) for text in texts)
    edited = replace_once(file.text, old, new)
    if not edited.changed:
        return f"{place.shown} already has this text at line {edited.line}; nothing was changed"
    place.write(_bounded(file.with_text(edited.text)))
    return f"{place.shown} changed at line {edited.line}"


@agent_tool(_EDITS)
async def write_file(runtime: AnyToolRuntime, path: str, content: str) -> str:
    """Create or overwrite a whole file. For a small change use edit_file.

    Args:
        path: The file, relative to the repository.
        content: The complete new content.
    """
    return await _change(runtime.context, path, lambda place, redactor: _write(place, redactor, content))


def _write(place: GuardedPath, redactor: Redactor, content: str) -> str:
    old = read_text(place) if place.exists() and not place.is_folder else TextFile("")
    text = restore_secrets(content, old.text, redactor)
    place.write(_bounded(old.with_text(text)))
    done = "written" if old.text != text or not old.text else "already had this text"
    return f"{place.shown} {done}: {len(text.splitlines())} lines"


def _bounded(file: TextFile) -> bytes:
    data = file.data()
    if len(data) > MAX_BYTES:
        raise ToolError(f"the file would have {len(data)} bytes", hint=f"at most {MAX_BYTES} can be written")
    return data


async def _change(context: Context, path: str, change: Callable[[GuardedPath, Redactor], str]) -> str:
    """Change a file where that is allowed; two changes of one file at once would lose one of them."""
    async with context.commands.turns.exclusive():
        submodules = await context.workspace.submodules()

        def changed() -> str:
            with open_beneath(context.workspace.root, path) as place:
                refuse_secret(context, place.name)
                for submodule in submodules:
                    if place.name == submodule or place.name.startswith(f"{submodule}/"):
                        raise ToolError(f"{path} is in the submodule {submodule}, which is read-only here")
                return change(place, context.redactor)

        return await run_in_thread(changed)


@contextmanager
def _readable(context: Context, path: str) -> Iterator[GuardedPath]:
    """A file of the worktree, or a stored output in the run directory when the worktree has no such file."""
    with open_beneath(context.workspace.root, path) as place:
        if place.exists() or not path.startswith(f"{FOLDER}/"):
            refuse_secret(context, place.name)
            yield place
            return
    with open_beneath(context.workspace.run_dir, path) as kept:
        if not kept.name.startswith(f"{FOLDER}/"):
            raise ToolError(f"{path} is outside the worktree", hint="outside it, only command outputs can be read")
        yield kept


def refuse_secret(context: Context, name: str) -> None:
    """Keep tools away from files that usually contain keys.

    Args:
        context: Of the run; its settings say what is shown anyway.
        name: Relative to the worktree, symlinks followed.

    Raises:
        ToolError: The name looks like that of such a file.
    """
    if SecretFiles(context.settings.sandbox.show).hides(name):
        raise ToolError(
            f"{name} looks like a secrets file, which tools neither show nor change",
            hint="continue without it; only the user can allow it, with the setting sandbox.show",
        )


def _folder(root: Path, path: str) -> tuple[str, list[str]]:
    """Name of a directory and its contents, for one that git ignores."""
    with open_beneath(root, path) as place:
        if not place.is_folder:
            raise ToolError(f"{path} is not a directory", hint="use read_file for a file, or list_files without a path")
        start = "" if place.name == "." else f"{place.name}/"
        names = [name for name in place.entries() if not is_private(name.removesuffix("/"))]
        return place.name, [f"{start}{name}" + "…" * name.endswith("/") for name in names]
