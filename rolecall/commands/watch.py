"""The command `watch`: shows a thread that another process drives, from the record that process writes."""

import argparse
import asyncio
import sys
from contextlib import nullcontext

from rolecall.display import Display, Screen
from rolecall.invocation import Invocation
from rolecall.jsonl import write_line
from rolecall.place import folder_of, record_of, thread_named, top_of
from rolecall.record import Follower, event_of

_POLL_S = 0.2


def watch(options: argparse.Namespace, invocation: Invocation) -> int:
    """Follow until the run ends; Ctrl-C leaves it running."""
    try:
        return asyncio.run(_watch(options, invocation))
    except KeyboardInterrupt:
        print("no longer watching; the thread goes on", file=sys.stderr)
        return 0


async def _watch(options: argparse.Namespace, invocation: Invocation) -> int:
    from graph.checkpoints import database_of
    from graph.lease import holder

    top = await top_of(folder_of(options))
    row = await thread_named(top, options.thread, invocation)
    follower = Follower(record_of(top, row.thread_id))
    display = None if options.json else Display(Screen())
    with display or nullcontext():
        while True:
            driven = await holder(database_of(top), row.thread_id) is not None
            for record in await asyncio.to_thread(follower.fresh):
                _show(record, display)
            if not driven:
                break
            await asyncio.sleep(_POLL_S)
    row = await thread_named(top, row.thread_id, invocation)
    print(f"nobody drives {row.short} at present; it is {row.status}", file=sys.stderr)
    return 0


def _show(record: dict[str, object], display: Display | None) -> None:
    if display is None:
        write_line(record)
    else:
        display.listen(event_of(record))
