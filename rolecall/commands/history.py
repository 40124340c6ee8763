"""The commands `log`, `diff` and `apply`: what a thread did, what it changed, and taking that over."""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from rolecall.invocation import Invocation
from rolecall.jsonl import answer
from rolecall.lines import clean, one_line
from rolecall.place import folder_of, record_of, thread_named, top_of
from rolecall.record import Follower, event_of
from rolecall.streams import write_patch
from rolecall.view import View


def log(options: argparse.Namespace, invocation: Invocation) -> int:
    """Print what happened."""
    return asyncio.run(_log(options, invocation))


def diff(options: argparse.Namespace, invocation: Invocation) -> int:
    """Print what changed."""
    return asyncio.run(_diff(options, invocation))


def apply(options: argparse.Namespace, invocation: Invocation) -> int:
    """Bring the changes into the user's checkout."""
    return asyncio.run(_apply(options, invocation))


async def _log(options: argparse.Namespace, invocation: Invocation) -> int:
    top = await top_of(folder_of(options))
    row = await thread_named(top, options.thread, invocation)
    records = await asyncio.to_thread(Follower(record_of(top, row.thread_id)).fresh)
    for text in map(json.dumps, records) if options.json else told(records):
        print(text)
    return 0


def told(records: Iterable[dict[str, Any]]) -> Iterator[str]:
    """The record of a thread in lines, each beginning with its date and time."""
    view = View()
    for record in records:
        event = event_of(record)
        for at, line in enumerate(clean(view.apply(event) or "").splitlines()):
            moment = f"{event.ts.astimezone():%Y-%m-%d %H:%M:%S}" if at == 0 else ""
            yield f"{moment:<19}  {line}"


async def _diff(options: argparse.Namespace, invocation: Invocation) -> int:
    from tools.workspace import GitWorkspace

    top = await top_of(folder_of(options))
    row = await thread_named(top, options.thread, invocation)
    workspace = await GitWorkspace.open(top, row.thread_id)
    # What goes into a pipe may go into `git apply`, which wants binary files and whole object names.
    readable = options.stat or options.json or sys.stdout.isatty()
    text = await (workspace.diff(stat=options.stat) if readable else workspace.patch())
    if options.json:
        answer({"thread": row.thread_id, "diff": text})
    elif text:
        write_patch(text if text.endswith("\n") else f"{text}\n")
    else:
        print("nothing was changed", file=sys.stderr)
    return 0


async def _apply(options: argparse.Namespace, invocation: Invocation) -> int:
    from graph.checkpoints import database_of
    from graph.lease import holder
    from tools.apply import apply_branch

    top = await top_of(folder_of(options))
    row = await thread_named(top, options.thread, invocation)
    driven = await holder(database_of(top), row.thread_id) is not None
    outcome = await apply_branch(top, row.thread_id, title=one_line(row.task, width=72), running=driven)
    if options.json:
        answer({"thread": row.thread_id, **outcome.model_dump(mode="json"), "applied": outcome.applied})
    else:
        print(outcome.message)
    if outcome.applied:
        return 0
    invocation.next_command = " && ".join(outcome.commands)
    return 1
