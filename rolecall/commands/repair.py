"""The command `repair`: the search for a patch alone. The best patch goes to stdout, so `git apply` can read it."""

import argparse
import asyncio
import shlex
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import Exit, UsageError
from core.text import single_line
from core.threads import ThreadOptions
from rolecall.invocation import Invocation
from rolecall.output.jsonl import write_answer
from rolecall.output.streams import write_patch
from rolecall.service.lookup import folder_of, settings_for, top_of
from rolecall.thread_options import repo_of

if TYPE_CHECKING:
    from core.config.settings import Settings
    from tools.repair.result import RepairEvent, RepairResult
    from tools.target.target_python import TargetPython

_SAID = {
    "nothing_fails": "nothing to do",
    "plausible": "found a patch",
    "partial": "found a patch for some of the failing tests",
    "none": "found no patch",
    "unusable_tests": "these tests cannot be used for the search",
    "interrupted": "the search was stopped",
}


EXHAUSTED = "every candidate was tried"
SHOWN = 5


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the command line asks for; the settings decide what it leaves open."""

    arguments: tuple[str, ...]
    budget_s: float
    """0: as configured."""
    quiet: bool


def repair(options: argparse.Namespace, invocation: Invocation) -> int:
    """Search for a patch and print it; nothing is changed."""
    asked = _Asked(search_arguments(options.checks), options.budget, quiet=options.json)
    result, budget_s = asyncio.run(_search(folder_of(repo_of(options)), asked))
    invocation.next_command = _going_on(result, budget_s, invocation)
    if options.json:
        write_answer(result.model_dump(mode="json"))
    else:
        print_result(result, invocation)
    return int(Exit.DONE if result.status in {"nothing_fails", "plausible"} else Exit.NOT_DONE)


def _going_on(result: "RepairResult", budget_s: float, invocation: Invocation) -> str:
    """The command after a search that found nothing: more time helps only a search that ran out of it."""
    if result.status == "unusable_tests":
        return invocation.call("repair", "--help")
    if result.stop_reason.startswith(EXHAUSTED) or result.elapsed_s < budget_s / 2:
        return invocation.call("doctor")
    return invocation.call(*invocation.argv, f"--budget={2 * budget_s:g}s")


def search_arguments(command: str) -> tuple[str, ...]:
    """The arguments in a pytest command, or in what follows `pytest` in one.

    Raises:
        UsageError: It is a command other than pytest.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--checks cannot be parsed: {error}") from error
    if words[:1] == ["pytest"]:
        return tuple(words[1:])
    if len(words) > 2 and words[1] == "-m":
        if words[2] == "pytest":
            return tuple(words[3:])
        raise UsageError(
            f"the search needs pytest and cannot run {command!r}", hint="leave --checks out, or use pytest"
        )
    return tuple(words)


async def _search(folder: Path, asked: _Asked) -> "tuple[RepairResult, float]":
    """Search as the tool of a run does; returns the result and the seconds it had."""
    from tools.repair.engine import RepairRequest, search_repair
    from tools.sandbox.sandbox import SandboxPaths, open_sandbox
    from tools.target.target_python import find_target_python

    def say(text: str) -> None:
        if text and not asked.quiet:
            print(text, file=sys.stderr)

    folder, outside = await _searched(folder)
    settings = (await settings_for(ThreadOptions(), folder, say)).settings
    bare = await open_sandbox(settings.sandbox, SandboxPaths(folder, folder))
    say(bare.policy)  # before anything of the repository runs
    target = await find_target_python(bare, settings.checks.python)
    sandbox = await asyncio.to_thread(bare.showing, target.readable)
    budget_s = asked.budget_s or settings.embedded.repair_budget_s
    arguments = asked.arguments or await _checked(folder, settings, target, git=not outside)
    request = RepairRequest(folder, target.python, target.env, arguments, budget_s)
    say(outside)
    say(target.note)
    with ExitStack() as stack:
        on_event = None if asked.quiet else _progress(stack)
        return await search_repair(request, on_event=on_event, spawn=sandbox.spawn), budget_s


async def _checked(folder: Path, settings: "Settings", target: "TargetPython", *, git: bool) -> tuple[str, ...]:
    """The arguments for pytest in the checks that a run would use: configured or detected."""
    from tools.git.command import Git
    from tools.target.check_detection import detect_checks
    from tools.target.repair_search import pytest_arguments
    from tools.worktree.staging import tracked_and_new

    commands = settings.checks.commands
    if git and not commands:
        files = await tracked_and_new(Git(folder))
        commands = await asyncio.to_thread(detect_checks, folder, files, has_pytest=target.has_pytest)
    return pytest_arguments(commands)


async def _searched(folder: Path) -> tuple[Path, str]:
    """The top level of the repository around a directory; if there is none, the directory itself, with a notice.

    Raises:
        RepositoryError: The repository has no files to work on.
    """
    from tools.git.command import Git

    if (await Git(folder, discover=True).try_run("rev-parse", "--git-dir")).code != 0:
        return folder, f"{folder} is not in a git repository; searching its tests in place"
    return await top_of(folder), ""


def _progress(stack: ExitStack) -> "Callable[[RepairEvent], None]":
    """Shows what the search does, live on a terminal and as lines elsewhere."""
    from rich.text import Text

    from rolecall.output.display import Screen

    console = Screen()
    status = stack.enter_context(console.status("running the tests")) if console.is_terminal else None

    def show(event: "RepairEvent") -> None:
        kind = single_line(event.kind)
        said = single_line(
            " ".join(f"{value} {name}" for name, value in event.fields.items() if _plain(value)), width=100
        )
        if status is not None:
            status.update(Text(f"{kind}: {said}"))
        elif event.kind != "progress" and said:
            console.print(f"{kind}: {said}")

    return show


def _plain(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def print_result(result: "RepairResult", invocation: Invocation) -> None:
    """Print the best patch, and on stderr what is known about all of them."""
    print(f"{_SAID[result.status]} ({_counts(result)})", file=sys.stderr)
    said = ""
    for at, patch in enumerate(result.patches):
        # What is doubtful about all of them is said of the first.
        why, said = f" ({patch.reason})" if patch.reason not in {"", said} else "", patch.reason
        print(f"patch {at + 1}: {patch.template}, confidence {patch.confidence}{why}", file=sys.stderr)
        if at == 0:
            write_patch(patch.diff)
    if result.patches:
        print(f"apply it with: {invocation.call(*invocation.argv)} | git apply", file=sys.stderr)
        print("\n".join(last_words(result)), file=sys.stderr)
        return
    if result.failing:
        more = f" and {len(result.failing) - SHOWN} more" if len(result.failing) > SHOWN else ""
        print(f"failing: {', '.join(map(single_line, result.failing[:SHOWN]))}{more}", file=sys.stderr)
    if result.stop_reason:
        print(f"stopped because: {result.stop_reason}", file=sys.stderr)
    for line in result.suspicious[:5]:
        print(f"suspicious: {line.path}:{line.line}  {line.text.strip()}", file=sys.stderr)


def _counts(result: "RepairResult") -> str:
    if result.status == "nothing_fails":
        return f"{result.passing} tests pass"
    return (
        f"{len(result.failing)} failing, {result.passing} passing, {result.tried} candidates in "
        f"{result.elapsed_s:.1f} s"
    )


def last_words(result: "RepairResult") -> list[str]:
    """What the first patch is known to do, how certain it is, and what would distinguish it from the others."""
    best = result.patches[0]
    lines = [f"the first patch {best.claim}"]
    if best.mended:
        lines.append(f"it repairs {', '.join(best.mended[:5])}{', …' if len(best.mended) > 5 else ''}")
    if best.confidence == "high":
        return [*lines, "confidence: high"]
    lines.append(f"confidence: LOW ({best.reason}); read the patch before you apply it")
    if result.disagreement is not None:
        call, outputs = result.disagreement.call, result.disagreement.outputs
        gives = [f"patch {at} gives {single_line(output, width=60)}" for at, output in enumerate(outputs[:4], 1)]
        lines.append(f"a test of {single_line(call, width=120)} would tell them apart: {'; '.join(gives)}")
    return lines
