"""The commands `steer` and `pause`: a message into a thread's inbox, whoever drives the thread."""

import argparse
import asyncio
import sys

from core.errors import ThreadError, UsageError
from core.storage.thread_ids import short_id
from rolecall.invocation import Invocation
from rolecall.lookup import folder_of, settings_of, thread_named, top_of
from rolecall.output.jsonl import write_answer


def steer(options: argparse.Namespace, invocation: Invocation) -> int:
    """Tell a thread something."""
    text = sys.stdin.read() if options.text == ["-"] else " ".join(options.text)
    if not text.strip():
        raise UsageError("no text given", hint=invocation.call("steer", options.thread, "Keep the public API"))
    return asyncio.run(_put(options, invocation, "guidance", text.strip(), urgent=options.urgent))


def pause(options: argparse.Namespace, invocation: Invocation) -> int:
    """Ask a thread to stop at its next step."""
    return asyncio.run(_put(options, invocation, "pause", "", urgent=False))


async def _put(options: argparse.Namespace, invocation: Invocation, kind: str, text: str, *, urgent: bool) -> int:
    from core.known_secrets import redactor_of
    from graph.store.checkpoints import database_of
    from graph.store.inbox import SqliteInbox
    from graph.store.lease import live_holder

    top = await top_of(folder_of(options))
    row = await thread_named(top, options.thread, invocation)
    database = database_of(top)
    driven = await live_holder(database, row.thread_id)
    if kind == "pause" and driven is None:
        raise ThreadError(f"{short_id(row.thread_id)} is not running, so there is nothing to pause")
    if row.finished and driven is None:
        short = short_id(row.thread_id)
        raise ThreadError(
            f"{short} is finished ({row.status}): nobody would read a message to it, and none was kept",
            hint=f"to go on from what it did, `rolecall apply {short}` and start a new run that says this",
        )
    redactor = redactor_of(await settings_of(row, top))
    hidden = redactor.found_in(text)
    number = await SqliteInbox(database, row.thread_id, redactor).put(
        row.thread_id, kind=kind, author="user", text=text, payload={"urgent": True} if urgent else {}
    )
    if hidden:
        print(f"it holds what looks like a secret; {', '.join(sorted(hidden))} is kept in its place", file=sys.stderr)
    if options.json:
        write_answer({"thread": row.thread_id, "id": number, "running": driven is not None})
    elif driven is not None:
        print(f"message {number} is in the inbox of {short_id(row.thread_id)}")
    else:
        print(f"{short_id(row.thread_id)} is not running; message {number} waits for {invocation.on_thread('resume')}")
    return 0
