"""The commands `log`, `diff` and `apply`: what a thread did, what it changed, and taking that over."""

import argparse
import asyncio
import sys

from rolecall.invocation import Invocation
from rolecall.jsonl import answer
from rolecall.place import folder_of, thread_named, top_of


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
    from graph.threads import thread_log

    top = await top_of(folder_of(options))
    row = await thread_named(top, options.thread, invocation)
    entries = await thread_log(top, row.thread_id)
    for entry in entries:
        if options.json:
            answer(entry.model_dump(mode="json"))
        else:
            print(entry)
    return 0


async def _diff(options: argparse.Namespace, invocation: Invocation) -> int:
    from graph.threads import thread_diff

    top = await top_of(folder_of(options))
    row = await thread_named(top, options.thread, invocation)
    text = await thread_diff(top, row.thread_id, stat=options.stat)
    if options.json:
        answer({"thread": row.thread_id, "diff": text})
    elif text:
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
    else:
        print("nothing was changed", file=sys.stderr)
    return 0


async def _apply(options: argparse.Namespace, invocation: Invocation) -> int:
    from graph.threads import apply_thread

    top = await top_of(folder_of(options))
    row = await thread_named(top, options.thread, invocation)
    outcome = await apply_thread(top, row.thread_id)
    if options.json:
        answer({"thread": row.thread_id, **outcome.model_dump(mode="json")})
    else:
        print(outcome.message)
    return 0 if outcome.applied else 1
