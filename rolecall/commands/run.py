"""The commands `run`, `resume` and `continue`."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import UsageError
from core.text import readable
from rolecall.invocation import Invocation
from rolecall.output.warnings import warn


def run(options: argparse.Namespace, invocation: Invocation) -> int:
    """Do a task."""
    task = request_of(options.task, options.file, TASK)
    if options.background:
        from rolecall.background import start_detached

        return asyncio.run(start_detached(task, options, invocation))
    return asyncio.run(_run(task, options, invocation))


def resume(options: argparse.Namespace, invocation: Invocation) -> int:
    """Resume a thread."""
    if options.thread and options.last:
        raise UsageError("both a thread and --last were given", hint="give one of them")
    return asyncio.run(_resume(options, invocation))


def continue_thread(options: argparse.Namespace, invocation: Invocation) -> int:
    """Go on with a thread with a new request."""
    example = f'rolecall continue {options.thread} "Add a test for it"'
    words = Words("request", example, example)
    return asyncio.run(_continue(request_of(options.text, options.file, words), options, invocation))


@dataclass(frozen=True, slots=True)
class Words:
    """How errors name what was to be given, and an example."""

    name: str
    example: str
    quoted: str


TASK = Words("task", 'rolecall run "Make the failing tests pass"', 'rolecall run "Fix the tests"')


def request_of(given: Sequence[str], file: Path | None, words: Words) -> str:
    """The text of a request out of the argument, the file or stdin.

    Raises:
        UsageError: There is none, there are two, or it is empty.
    """
    name, say = words.name, f"describe the task: {words.example}"
    if len(given) > 1:
        raise UsageError(f"the {name} is given as several words", hint=f"put it in quotes: {words.quoted}")
    if given and file:
        raise UsageError(f"the {name} is given twice, as an argument and with -f", hint="give one of them")
    if file:
        text = _read(file, name)
    elif not given:
        raise UsageError(f"no {name} given", hint=say)
    else:
        text = sys.stdin.read() if given[0] == "-" else given[0]
    if not text.strip():
        raise UsageError(f"the {name} is empty", hint=say)
    return readable(text.strip())  # arguments and stdin are bytes; a checkpoint holds text


def _read(file: Path, name: str) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"the {name} cannot be read from {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"the {name} in {file} is not UTF-8 text") from error


async def _run(task: str, options: argparse.Namespace, invocation: Invocation) -> int:
    from rolecall.service.runs import StartRequest, prepare_start
    from rolecall.terminal.terminal_run import driven, running

    request = StartRequest(task=task, **running(options), **({"thread_id": options.thread} if options.thread else {}))
    return await driven(await prepare_start(request, on_warning=warn), options, invocation)


async def _resume(options: argparse.Namespace, invocation: Invocation) -> int:
    from rolecall.service.runs import ResumeRequest, prepare_resume
    from rolecall.terminal.terminal_run import driven, running

    request = ResumeRequest(thread=options.thread, **running(options))
    prepared = await prepare_resume(request, on_thread=invocation.about, on_warning=warn)
    return await driven(prepared, options, invocation)


async def _continue(text: str, options: argparse.Namespace, invocation: Invocation) -> int:
    from rolecall.service.runs import ContinueRequest, prepare_continue
    from rolecall.terminal.terminal_run import driven, running

    request = ContinueRequest(thread=options.thread, text=text, **running(options))
    return await driven(
        await prepare_continue(request, on_thread=invocation.about, on_warning=warn), options, invocation
    )
