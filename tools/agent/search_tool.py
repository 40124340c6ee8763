"""Search in the files of the worktree: ripgrep where it is installed, else Python; both answer the same way.

Ripgrep runs where commands run, in the sandbox; our own search opens files by descriptors. Neither follows symlinks,
and hits in files that tools do not show are dropped.
"""

import asyncio
import re
import shutil
import sys
from pathlib import Path

from core.context import Context
from core.errors import ToolError
from core.redaction import Redactor
from core.text import readable
from core.tool_effects import ToolEffects
from tools.agent.agent_tool import AnyToolRuntime, agent_tool
from tools.agent.file_tools import files_below, matching, refuse_secret
from tools.agent.search_fallback import MAX_BYTES
from tools.files.path_guard import open_beneath
from tools.files.redacted_text import numbered_lines
from tools.files.text_files import read_text
from tools.files.worktree_lock import run_in_thread
from tools.processes.child_process import end_process
from tools.processes.environment import user_environment

_MAX_HITS = 200
_MAX_COLUMNS = 300
_LONGEST_TOKEN = 8192
"""Characters after the last column that are also scanned, so that the cut leaves no partial secret."""
_MAX_PATTERN = 2000
_TIMEOUT_S = 30
_FEW_FILES = 50
"""For fewer, starting ripgrep and walking ignored directories cost more than they save."""
_RIPGREP_MANNERS = (
    "--no-config", "--no-ignore", "--hidden", "--no-messages", "--null", "--line-number", "--no-heading",
    "--color=never", "--sort=path", "--glob=!.git", "--no-follow", "--no-mmap", f"--max-filesize={MAX_BYTES}",
)  # fmt: skip
_LINE_LIMIT = 64 * 2**20
_FALLBACK = Path(__file__).with_name("search_fallback.py")
_SPANS_LINES = "PRIVATE KEY"
Hit = tuple[str, int, str]
"""Path, number of the line, its text."""


@agent_tool(ToolEffects(reads=True, idempotent=True, confined=True))
async def search_text(
    runtime: AnyToolRuntime, pattern: str, path: str = ".", glob: str = "", *, ignore_case: bool = False
) -> str:
    """Search the repository's files for a regular expression; returns path:line:text. Skips files over 10 MB.

    Args:
        pattern: A regular expression, or plain text.
        path: A directory or file, relative to the repository.
        glob: Only files whose name matches this pattern, for example *.py
        ignore_case: Whether to ignore case.
    """
    context: Context = runtime.context
    expression, note = await asyncio.to_thread(_compiled, pattern, ignore_case=ignore_case)
    async with context.commands.turns.shared():
        start, is_file = await run_in_thread(_located, context, path)
        names = [start] if is_file else await files_below(context, start)
        if glob and not is_file:
            names = await asyncio.to_thread(matching, names, glob)
        hits = await _search(context, names, expression)
        hits = await run_in_thread(_without_spans, context, hits)
    if not hits:
        return f"{note}no match in {len(names)} files"
    cut = f"\n… more than {_MAX_HITS} matches; narrow the pattern, path or glob" if len(hits) > _MAX_HITS else ""
    return note + "\n".join(f"{name}:{number}:{text}" for name, number, text in hits[:_MAX_HITS]) + cut


def _compiled(pattern: str, *, ignore_case: bool) -> tuple[re.Pattern[str], str]:
    flags = re.IGNORECASE if ignore_case else re.NOFLAG
    if not pattern:
        raise ToolError("the pattern is empty", hint="give a word or a regular expression")
    if len(pattern) > _MAX_PATTERN:
        raise ToolError(f"the pattern has {len(pattern)} characters", hint=f"at most {_MAX_PATTERN} are allowed")
    try:
        return re.compile(pattern, flags), ""
    except (re.error, OverflowError, RecursionError) as error:
        note = f"(searched as plain text, because it is not a valid regular expression: {error})\n"
        return re.compile(re.escape(pattern), flags), note


def _located(context: Context, path: str) -> tuple[str, bool]:
    with open_beneath(context.workspace.root, path) as place:
        if not place.exists():
            raise ToolError(f"{path} does not exist", hint="use list_files to see what is there")
        if not place.is_folder:
            refuse_secret(context, place.name)
        return place.name, not place.is_folder


async def _search(context: Context, names: list[str], expression: re.Pattern[str]) -> list[Hit]:
    """Matching lines, at most one more than are shown. An expression may be slow, so it runs where it can be killed."""
    flags = ["-i"] if expression.flags & re.IGNORECASE else []
    program = await asyncio.to_thread(_ripgrep) if len(names) > _FEW_FILES else None
    if program:
        argv = [program, *_RIPGREP_MANNERS, *flags, "-e", expression.pattern, "."]
        process = await context.commands.spawn(argv)
        found = await _hits_of(process, "", set(names), context.redactor)
        if found is not None:
            return found
    argv = [sys.executable, "-I", "-S", str(_FALLBACK), *flags, "--", expression.pattern]
    process = await asyncio.create_subprocess_exec(
        *argv, cwd=context.workspace.root, env=await asyncio.to_thread(user_environment), stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, limit=_LINE_LIMIT, start_new_session=True,
    )  # fmt: skip
    found = await _hits_of(process, "\0".join(names), set(names), context.redactor)
    if found is None:
        raise ToolError("the search failed", hint="use a simpler expression")
    return found


def _ripgrep() -> str | None:
    return shutil.which("rg", path=user_environment()["PATH"])


async def _hits_of(
    process: asyncio.subprocess.Process, stdin: str, names: set[str], redactor: Redactor
) -> list[Hit] | None:
    """Read a search program that prints path, null byte, `number:text`; `None` when it rejects the expression."""
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            feeding = asyncio.create_task(_feed(process, stdin))
            hits = await _collect(process, names, redactor)
            feeding.cancel()
            return hits if len(hits) > _MAX_HITS or await process.wait() in {0, 1} else None
    except TimeoutError as error:
        raise ToolError(
            f"the search took longer than {_TIMEOUT_S} s", hint="use a simpler expression, a path or a glob"
        ) from error
    finally:
        await end_process(process)


async def _feed(process: asyncio.subprocess.Process, text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(text.encode("utf-8", "surrogateescape"))
    try:
        await process.stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        # It has ended already; its exit code says how.
        return
    process.stdin.close()


async def _collect(process: asyncio.subprocess.Process, names: set[str], redactor: Redactor) -> list[Hit]:
    """The hits until the end, or until there are more than are shown."""
    assert process.stdout is not None
    hits: list[Hit] = []
    async for raw in process.stdout:
        path, _, found = raw.decode("utf-8", "surrogateescape").rstrip("\r\n").partition("\0")
        number, _, text = found.partition(":")
        name = path.removeprefix("./")
        if name in names and number.isdecimal():
            shown = redactor.clean(text[: _MAX_COLUMNS + _LONGEST_TOKEN])[:_MAX_COLUMNS]
            hits.append((readable(name), int(number), readable(shown)))
        if len(hits) > _MAX_HITS:
            break
    return hits


def _without_spans(context: Context, hits: list[Hit]) -> list[Hit]:
    """The hits without lines from inside a multi-line secret, which no single line reveals."""
    shown: dict[str, dict[int, str] | None] = {}
    for name in dict.fromkeys(name for name, _, _ in hits):
        try:
            with open_beneath(context.workspace.root, name) as place:
                text = read_text(place).text
        except ToolError:
            # What cannot be read cannot be shown either.
            shown[name] = {}
            continue
        shown[name] = dict(numbered_lines(text, context.redactor)) if _SPANS_LINES in text else None
    kept: list[Hit] = []
    for name, number, text in hits:
        lines = shown[name]
        if lines is None:
            kept.append((name, number, text))
        elif number in lines:
            kept.append((name, number, lines[number][:_MAX_COLUMNS]))
    return kept
