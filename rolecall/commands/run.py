"""The commands `run` and `resume`."""

import argparse
import asyncio
import sys
from pathlib import Path
from uuid import uuid4

from core.errors import UsageError
from core.text import readable
from rolecall.invocation import Invocation
from rolecall.lookup import folder_of, last_thread, settings_for, thread_named, top_of
from rolecall.thread_options import Asked


def run(options: argparse.Namespace, invocation: Invocation) -> int:
    """Do a task."""
    task = task_of(options)
    if options.background:
        from rolecall.background import start_detached

        return asyncio.run(start_detached(task, options, invocation))
    return asyncio.run(_run(task, options, invocation))


def resume(options: argparse.Namespace, invocation: Invocation) -> int:
    """Go on with a thread."""
    if options.thread and options.last:
        raise UsageError("both a thread and --last were given", hint="give one of them")
    return asyncio.run(_resume(options, invocation))


def task_of(options: argparse.Namespace) -> str:
    """The task out of the argument, the file or stdin.

    Raises:
        UsageError: There is none, there are two, or it is empty.
    """
    words: list[str] = options.task
    if len(words) > 1:
        raise UsageError("the task is given as several words", hint='put it in quotes: rolecall run "Fix the tests"')
    if words and options.file:
        raise UsageError("the task is given twice, as an argument and with -f", hint="give one of them")
    if options.file:
        text = _read(options.file)
    elif not words:
        raise UsageError("no task given", hint='say what is to be done: rolecall run "Make the failing tests pass"')
    else:
        text = sys.stdin.read() if words[0] == "-" else words[0]
    if not text.strip():
        raise UsageError("the task is empty", hint='say what is to be done: rolecall run "Make the failing tests pass"')
    return readable(text.strip())  # arguments and stdin are bytes; a checkpoint holds text


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"the task cannot be read from {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"the task in {file} is no UTF-8 text") from error


async def _run(task: str, options: argparse.Namespace, invocation: Invocation) -> int:
    from tools.git.repository import find_top

    top = await find_top(folder_of(options))
    asked = Asked.by(options)
    loaded = await settings_for(options, top, asked=asked)
    from core.context import RunOptions
    from graph import runner
    from graph.drive.thread_run import AskUser
    from graph.store.event_log import Listen
    from llm_registry.overrides import checked_overrides
    from rolecall.terminal.terminal_run import TerminalRun, display_options, message_sender

    # Before a worktree is made for a run that cannot begin.
    await checked_overrides(loaded.settings, dict(options.model))
    manner = display_options(options, loaded.settings)
    invocation.approves = options.yes
    request = runner.RunRequest(
        task=task,
        repo=top,
        settings=loaded.settings,
        options=RunOptions(interactive=manner.attended, approve_all=options.yes),
        checks=tuple(options.checks),
        models=dict(options.model),
        thread_id=options.thread or str(uuid4()),
        supervise=asked.supervise,
        remembered=asked.kept(),
    )

    async def job(*, listen: Listen, ask: AskUser | None) -> runner.RunOutcome:
        return await runner.run(request, listen=listen, ask=ask)

    return await TerminalRun(invocation, manner, tell=message_sender(top, loaded.settings)).live(job)


async def _resume(options: argparse.Namespace, invocation: Invocation) -> int:
    top = await top_of(folder_of(options))
    row = await (thread_named(top, options.thread, invocation) if options.thread else last_thread(top, invocation))
    asked = Asked.remembered(row.options).then(Asked.by(options))
    loaded = await settings_for(options, top, asked=asked)
    from core.context import RunOptions
    from graph import runner
    from graph.drive.thread_run import AskUser
    from graph.store.event_log import Listen
    from llm_registry.overrides import checked_overrides
    from rolecall.terminal.terminal_run import TerminalRun, display_options, message_sender

    models = {**row.options.get("models", {}), **dict(options.model)}
    await checked_overrides(loaded.settings, models)
    manner = display_options(options, loaded.settings)
    invocation.approves = options.yes
    request = runner.ResumeRequest(
        repo=top,
        thread=row.thread_id,
        settings=loaded.settings,
        options=RunOptions(interactive=manner.attended, approve_all=options.yes),
        remembered={**asked.kept(), "models": models},
    )

    async def job(*, listen: Listen, ask: AskUser | None) -> runner.RunOutcome:
        return await runner.resume(request, listen=listen, ask=ask)

    return await TerminalRun(invocation, manner, tell=message_sender(top, loaded.settings)).live(job)
