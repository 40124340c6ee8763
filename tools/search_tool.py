"""Search in the files of the worktree: ripgrep where it is installed, else Python; both answer the same way."""

import asyncio
import fnmatch
import re
import shutil
import sys
from pathlib import Path

from core.context import Context
from core.errors import ToolError
from tools.agent_tool import ToolCall, agent_tool
from tools.environment import user_environment
from tools.git import Git
from tools.paths import resolve_inside
from tools.processes import end
from tools.staging import tracked_and_new

_MAX_HITS = 200
_MAX_COLUMNS = 300
_TIMEOUT_S = 30
_FEW_FILES = 50
"""For fewer, a start of ripgrep and its walk through ignored folders cost more than they save."""
_RIPGREP_MANNERS = (
    "--no-config", "--no-ignore", "--hidden", "--no-messages", "--null", "--line-number", "--no-heading",
    "--color=never", "--sort=path", "--glob=!.git",
)  # fmt: skip
_LINE_LIMIT = 256 * 2**20
_FALLBACK = Path(__file__).with_name("search_fallback.py")


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
    """Matching lines, at most one more than are shown. An expression may be slow, so it runs where it can be killed."""
    flags = ["-i"] if expression.flags & re.IGNORECASE else []
    program = await asyncio.to_thread(_ripgrep) if len(names) > _FEW_FILES else None
    if program:
        argv = [program, *_RIPGREP_MANNERS, *flags, "-e", expression.pattern, "."]
        found = await _lines_of(argv, root, "", set(names))
        if found is not None:
            return found
    argv = [sys.executable, "-I", "-S", str(_FALLBACK), *flags, "--", expression.pattern]
    found = await _lines_of(argv, root, "\0".join(names), set(names))
    if found is None:
        raise ToolError("the search failed", hint="use a simpler expression")
    return found


def _ripgrep() -> str | None:
    return shutil.which("rg", path=user_environment()["PATH"])


async def _lines_of(argv: list[str], root: Path, stdin: str, names: set[str]) -> list[str] | None:
    """Run a search program that prints path, zero byte, `number:text`; `None` when it does not take the expression."""
    process = await asyncio.create_subprocess_exec(
        *argv, cwd=root, env=user_environment(), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL, limit=_LINE_LIMIT, start_new_session=True,
    )  # fmt: skip
    hits: list[str] = []
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            feeding = asyncio.create_task(_feed(process, stdin))
            enough = await _collect(process, names, hits)
            feeding.cancel()
            if enough:
                return hits
            return hits if await process.wait() in {0, 1} else None
    except TimeoutError as error:
        raise ToolError(
            f"the search took longer than {_TIMEOUT_S} s", hint="use a simpler expression, a path or a glob"
        ) from error
    finally:
        await end(process)


async def _feed(process: asyncio.subprocess.Process, text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(text.encode("utf-8", "surrogateescape"))
    try:
        await process.stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        # It has ended already; its exit code says how.
        return
    process.stdin.close()


async def _collect(process: asyncio.subprocess.Process, names: set[str], hits: list[str]) -> bool:
    """Read hits until the end, or until there are more than are shown."""
    assert process.stdout is not None
    async for raw in process.stdout:
        path, _, found = raw.decode("utf-8", "surrogateescape").rstrip("\r\n").partition("\0")
        name = path.removeprefix("./")
        if name in names:
            hits.append(f"{name}:{found[:_MAX_COLUMNS]}".encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
        if len(hits) > _MAX_HITS:
            return True
    return False
