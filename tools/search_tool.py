"""Search in the files of the worktree: ripgrep where it is installed, else Python; both answer the same way."""

import asyncio
import fnmatch
import os
import re
import shutil
from pathlib import Path

from core.context import Context
from core.errors import ToolError
from tools.agent_tool import ToolCall, agent_tool
from tools.environment import user_environment
from tools.git import Git
from tools.paths import resolve_inside
from tools.staging import tracked_and_new

_MAX_HITS = 200
_MAX_COLUMNS = 300
_TIMEOUT_S = 30
_FEW_FILES = 50


@agent_tool
async def search_text(
    runtime: ToolCall, pattern: str, path: str = ".", glob: str = "", *, ignore_case: bool = False
) -> str:
    """Search the files of the repository for a regular expression; answers path:line:text.

    Args:
        pattern: A regular expression, or plain text.
        path: A folder or file, relative to the repository.
        glob: Only files whose name is like this, for example *.py
        ignore_case: Whether capitals do not matter.
    """
    context: Context = runtime.context
    root = context.workspace.root
    start, is_file = await asyncio.to_thread(_located, root, path)
    expression, note = _compiled(pattern, ignore_case=ignore_case)
    names = [start] if is_file else await _files(root, start, glob)
    hits = await _search(root, names, expression)
    if not hits:
        return f"{note}no match in {len(names)} files"
    cut = f"\n… more than {_MAX_HITS} matches; narrow the pattern, path or glob" if len(hits) > _MAX_HITS else ""
    return note + "\n".join(hits[:_MAX_HITS]) + cut


def _compiled(pattern: str, *, ignore_case: bool) -> tuple[re.Pattern[str], str]:
    flags = re.IGNORECASE if ignore_case else re.NOFLAG
    if not pattern:
        raise ToolError("the pattern is empty", hint="give a word or a regular expression")
    try:
        return re.compile(pattern, flags), ""
    except re.error as error:
        note = f"(searched as plain text, since it is no regular expression: {error})\n"
        return re.compile(re.escape(pattern), flags), note


def _located(root: Path, path: str) -> tuple[str, bool]:
    place = resolve_inside(root, path)
    if not place.path.exists():
        raise ToolError(f"there is no {path}", hint="use list_files to see what is there")
    return place.name, place.path.is_file()


async def _files(root: Path, start: str, glob: str) -> list[str]:
    names = await tracked_and_new(Git(root))
    if start != ".":
        names = [name for name in names if name.startswith(f"{start}/")]
    if glob:
        names = [name for name in names if fnmatch.fnmatch(name, glob) or fnmatch.fnmatch(Path(name).name, glob)]
    return names


async def _search(root: Path, names: list[str], expression: re.Pattern[str]) -> list[str]:
    # For a few files a second program costs more than it saves.
    program = await asyncio.to_thread(_ripgrep) if len(names) > _FEW_FILES else None
    found = await _with_ripgrep(program, root, names, expression) if program else None
    return await asyncio.to_thread(_with_python, root, names, expression) if found is None else found


def _ripgrep() -> str | None:
    return shutil.which("rg", path=user_environment()["PATH"])


async def _with_ripgrep(program: str, root: Path, names: list[str], expression: re.Pattern[str]) -> list[str] | None:
    """Let ripgrep find the files, which is the slow part; `None` when it does not understand the expression."""
    case = ["--ignore-case"] if expression.flags & re.IGNORECASE else []
    argv = [program, "--no-config", "--files-with-matches", "--null", "--no-ignore", "--hidden", "--no-messages", *case,
            "--glob", "!.git", "--regexp", expression.pattern, "."]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *argv, cwd=root, env=user_environment(), stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            out, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    if process.returncode not in {0, 1}:
        return None
    matching = {os.fsdecode(name).removeprefix("./") for name in out.split(b"\0") if name}
    return await asyncio.to_thread(_with_python, root, [name for name in names if name in matching], expression)


def _with_python(root: Path, names: list[str], expression: re.Pattern[str]) -> list[str]:
    hits: list[str] = []
    for name in names:
        path = root / name
        if path.is_symlink() or not path.is_file():
            continue
        data = path.read_bytes()
        if b"\0" in data[:8192]:
            continue
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
            if expression.search(line):
                hits.append(f"{name}:{number}:{line[:_MAX_COLUMNS]}")
                if len(hits) > _MAX_HITS:
                    return hits
    return hits
