"""The tools that list, read, edit and write files of the worktree."""

import asyncio
import fnmatch
from pathlib import Path

from core.context import Context
from core.errors import ToolError
from tools.agent_tool import ToolCall, agent_tool
from tools.edit_match import replace_once
from tools.git import Git
from tools.listing import fold
from tools.outputs import FOLDER
from tools.paths import Inside, resolve_inside
from tools.staging import tracked_and_new
from tools.submodules import submodule_paths
from tools.text_files import TextFile, read_text, write_text

_MAX_ENTRIES = 200
_MAX_LINE = 2000


@agent_tool
async def list_files(runtime: ToolCall, path: str = ".", pattern: str = "") -> str:
    """List files of the repository; large folders are shown with their number of files.

    Args:
        path: A folder, relative to the repository.
        pattern: Only names like this, for example *.py
    """
    context: Context = runtime.context
    root = context.workspace.root
    folder = await asyncio.to_thread(resolve_inside, root, path)
    if not folder.path.is_dir():
        raise ToolError(f"{path} is no folder", hint="use read_file for a file, or list_files without a path")
    files = await tracked_and_new(Git(root))
    if folder.name != ".":
        files = [name for name in files if name.startswith(f"{folder.name}/")]
    if not files:
        files = await asyncio.to_thread(_entries, folder)
    if pattern:
        files = [name for name in files if fnmatch.fnmatch(name, pattern) or fnmatch.fnmatch(Path(name).name, pattern)]
    return fold(files, _MAX_ENTRIES) or "(nothing there)"


@agent_tool
async def read_file(runtime: ToolCall, path: str, start: int = 1, end: int | None = None) -> str:
    """Read a text file with line numbers. Long files come in pieces; ask for more with start.

    Args:
        path: The file, relative to the repository, or outputs/NNN.txt for the whole text of a command.
        start: First line, counted from 1.
        end: Last line; as far as fits when left out.
    """
    return await page_of(runtime.context, path, start, end)


async def page_of(context: Context, path: str, start: int = 1, end: int | None = None) -> str:
    """A text file with line numbers, as much of it as one tool may give back.

    Raises:
        ToolError: There is no such file, it lies outside of the worktree, is no text, or ends before `start`.
    """
    place = await asyncio.to_thread(_readable, context, path)
    file = await asyncio.to_thread(read_text, place, path)
    return _page(file.text, start, end, context.settings.sandbox.max_output_bytes)


@agent_tool
async def edit_file(runtime: ToolCall, path: str, old: str, new: str) -> str:
    """Replace a piece of a file that is there exactly once. Give enough lines around it to make it unique.

    Args:
        path: The file, relative to the repository.
        old: The text to replace, exactly as in the file, without line numbers.
        new: What comes in its place.
    """
    context: Context = runtime.context
    root = context.workspace.root
    target = await _writable(root, path)
    file = await asyncio.to_thread(read_text, target, path)
    edited = replace_once(file.text, old, new)
    if not edited.changed:
        return f"{path} already has this text at line {edited.line}; nothing was changed"
    await asyncio.to_thread(write_text, target, file.with_text(edited.text))
    return f"{path} changed at line {edited.line}"


@agent_tool
async def write_file(runtime: ToolCall, path: str, content: str) -> str:
    """Write a whole file, new or in place of an old one. For a small change use edit_file.

    Args:
        path: The file, relative to the repository.
        content: All of its text.
    """
    context: Context = runtime.context
    root = context.workspace.root
    target = await _writable(root, path)
    if target.is_dir():
        raise ToolError(f"{path} is a folder", hint="give the name of a file")
    old = await asyncio.to_thread(read_text, target, path) if target.exists() else TextFile("")
    await asyncio.to_thread(write_text, target, old.with_text(content))
    done = "written" if old.text != content or not old.text else "already had this text"
    return f"{path} {done}: {len(content.splitlines())} lines"


async def _writable(root: Path, path: str) -> Path:
    target = await asyncio.to_thread(resolve_inside, root, path)
    for submodule in await submodule_paths(Git(root)):
        if target.name == submodule or target.name.startswith(f"{submodule}/"):
            raise ToolError(f"{path} is in the submodule {submodule}, which is not changed here")
    return target.path


def _readable(context: Context, path: str) -> Path:
    """A file of the worktree, or a kept output of the run folder when the worktree has none of that name."""
    run_dir = context.workspace.run_dir
    if path.startswith(f"{FOLDER}/") and not (context.workspace.root / path).exists():
        kept = (run_dir / path).resolve()
        if kept.is_relative_to((run_dir / FOLDER).resolve()):
            return kept
    return resolve_inside(context.workspace.root, path).path


def _page(text: str, start: int, end: int | None, max_bytes: int) -> str:
    lines = text.splitlines()
    first = max(1, start)
    if first > max(1, len(lines)):
        raise ToolError(f"the file has {len(lines)} lines, so it ends before line {start}", hint="use a lower start")
    last = len(lines) if end is None else min(end, len(lines))
    taken: list[str] = []
    size = 0
    for number in range(first, last + 1):
        line = lines[number - 1]
        shortened = line if len(line) <= _MAX_LINE else f"{line[:_MAX_LINE]}… ({len(line)} characters)"
        size += len(shortened.encode("utf-8", "replace")) + 8
        if taken and size > max_bytes:
            break
        taken.append(f"{number:6}\t{shortened}")
    reached = first + len(taken) - 1
    if not lines:
        return "(the file is empty)"
    more = f"\n… lines {first}-{reached} of {len(lines)}; go on with start={reached + 1}" if reached < last else ""
    return "\n".join(taken) + more


def _entries(folder: Inside) -> list[str]:
    """What lies in a folder git ignores."""
    start = "" if folder.name == "." else f"{folder.name}/"
    names = sorted(entry.name + ("/…" if entry.is_dir() else "") for entry in folder.path.iterdir())
    return [f"{start}{name}" for name in names if name not in {".git", ".rolecall/…"}]
