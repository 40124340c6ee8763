"""The commands `run`, `resume` and `continue`."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.errors import UsageError
from core.text import readable
from rolecall.invocation import Invocation
from rolecall.service.runs import ContinueRequest, ResumeRequest, StartRequest
from rolecall.thread_options import asked, repo_of


def run(options: argparse.Namespace, invocation: Invocation) -> int:
    """Do a task."""
    task = request_of(options.task, options.file, "task", 'rolecall run "Make the failing tests pass"')
    if options.background:
        from rolecall.background import start_detached

        return asyncio.run(start_detached(task, options, invocation))
    thread = {"thread_id": options.thread} if options.thread else {}
    return _drive(StartRequest(task=task, **_running(options), **thread), options, invocation)


def resume(options: argparse.Namespace, invocation: Invocation) -> int:
    """Resume a thread."""
    if options.thread and options.last:
        raise UsageError("both a thread and --last were given", hint="give one of them")
    return _drive(ResumeRequest(thread=options.thread, **_running(options)), options, invocation)


def continue_thread(options: argparse.Namespace, invocation: Invocation) -> int:
    """Give a thread a new request."""
    text = request_of(options.text, options.file, "request", f'rolecall continue {options.thread} "Add a test for it"')
    return _drive(ContinueRequest(thread=options.thread, text=text, **_running(options)), options, invocation)


def request_of(given: Sequence[str], file: Path | None, name: str, example: str) -> str:
    """The text of a request from the argument, the file or stdin.

    Args:
        given: The words on the command line.
        file: Where else it may stand.
        name: How errors name it.
        example: A command line that gives one.

    Raises:
        UsageError: There is none, there are two, or it is empty.
    """
    say = f"describe the task: {example}"
    if len(given) > 1:
        raise UsageError(f"the {name} is given as several words", hint=f"put it in quotes: {example}")
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


def _running(options: argparse.Namespace) -> dict[str, Any]:
    """What the options say about a run, for the requests to the service."""
    return {
        "repo": repo_of(options),
        "options": asked(options),
        "interactive": not options.json and not options.yes and sys.stdin.isatty() and sys.stderr.isatty(),
        "approve_all": options.yes,
    }


def _drive(
    request: StartRequest | ResumeRequest | ContinueRequest, options: argparse.Namespace, invocation: Invocation
) -> int:
    from rolecall.terminal.terminal_run import drive

    return asyncio.run(drive(request, invocation, quiet=options.quiet))
