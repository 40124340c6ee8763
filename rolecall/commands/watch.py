"""The command `watch`: shows a thread running in another process, from the record that process writes."""

import argparse
import asyncio
import sys
from contextlib import nullcontext
from datetime import datetime
from typing import Any

from core.run_result import RunResult
from rolecall.invocation import Invocation
from rolecall.output.display import Display, Screen, utc_now
from rolecall.output.jsonl import write_json_line
from rolecall.output.result_output import print_outcome
from rolecall.service.event_reader import Follower, event_of
from rolecall.service.lookup import ThreadRequest, as_it_stands, found, is_driven, record_of
from rolecall.thread_options import repo_of

_POLL_S = 0.2


def watch(options: argparse.Namespace, invocation: Invocation) -> int:
    """Follow until the run ends; Ctrl-C leaves it running."""
    try:
        return asyncio.run(_watch(options, invocation))
    except KeyboardInterrupt:
        print("no longer watching; the thread keeps running", file=sys.stderr)
        return 0


async def _watch(options: argparse.Namespace, invocation: Invocation) -> int:
    request = ThreadRequest(repo=repo_of(options), thread=options.thread)
    top, row = await found(request, invocation.about)
    follower, view = Follower(record_of(top, row.thread_id)), _Watched(lines=options.json)
    with view.display or nullcontext():
        while True:
            driven = await is_driven(top, row.thread_id)
            for record in await asyncio.to_thread(follower.fresh):
                view.show(record)
            if not driven:
                break
            await asyncio.sleep(_POLL_S)
    row = await as_it_stands((await found(request, invocation.about))[1], top)
    if view.result and not options.json:
        result = RunResult.model_validate(view.result)
        print_outcome(result, result.exit_code, invocation)
    on = "" if row.finished else f"; resume it with {invocation.on_thread('resume')}"
    print(f"{row.short} is not running; its status is {row.status}{on}", file=sys.stderr)
    return 0


class _Watched:
    """The record as it is shown: earlier events are shown with the time they happened at."""

    def __init__(self, *, lines: bool) -> None:
        self._at: datetime | None = None
        self.display = None if lines else Display(Screen(), now=self._now)  # which looks at the clock at once
        self.result: dict[str, Any] = {}
        """How the last run ended; empty while one is running, or after a kill."""

    def show(self, record: dict[str, Any]) -> None:
        self.result = record if record["event"] == "result" else {}
        if self.display is None:
            write_json_line(record)
            return
        event = event_of(record)
        self._at = event.ts
        self.display.listen(event)
        self._at = None

    def _now(self) -> datetime:
        return self._at or utc_now()
