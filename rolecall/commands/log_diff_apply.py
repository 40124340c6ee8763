"""The commands `log`, `diff` and `apply`: what a thread did, what it changed, and applying it."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from core.errors import Exit, ThreadError
from core.storage.thread_ids import short_id
from rolecall.invocation import Invocation
from rolecall.output.event_text import without_control_characters
from rolecall.output.jsonl import write_answer
from rolecall.output.run_view import RunView
from rolecall.output.streams import write_patch
from rolecall.service import threads, work
from rolecall.service.event_reader import event_of
from rolecall.service.threads import EventsRequest
from rolecall.service.work import ApplyRequest, DiffRequest
from rolecall.terminal.confirm import confirm
from rolecall.thread_options import repo_of


def log(options: argparse.Namespace, invocation: Invocation) -> int:
    """Print what happened."""
    request = EventsRequest(repo=repo_of(options), thread=options.thread)
    records = threads.events(request, on_thread=invocation.about).events
    for text in map(json.dumps, records) if options.json else log_lines(records):
        print(text)
    return 0


def log_lines(records: Iterable[dict[str, Any]]) -> Iterator[str]:
    """The record of a thread in lines, each starting with its date and time."""
    view = RunView()
    for record in records:
        event = event_of(record)
        trace = str(event.data.get("traceback") or "")
        for at, line in enumerate(without_control_characters(f"{view.apply(event) or ''}\n{trace}").splitlines()):
            moment = f"{event.ts.astimezone():%Y-%m-%d %H:%M:%S}" if at == 0 else ""
            if line:
                yield f"{moment:<19}  {line}"


def diff(options: argparse.Namespace, invocation: Invocation) -> int:
    """Print what changed."""
    # What goes into a pipe may go into `git apply`, which wants binary files and whole object names.
    exact = not (options.stat or options.json or sys.stdout.isatty())
    request = DiffRequest(repo=repo_of(options), thread=options.thread, stat=options.stat, exact=exact)
    found = work.diff(request, on_thread=invocation.about)
    if options.json:
        write_answer(found.model_dump())
    elif found.diff:
        write_patch(found.diff if found.diff.endswith("\n") else f"{found.diff}\n")
    else:
        print("nothing was changed", file=sys.stderr)
    return 0


def apply(options: argparse.Namespace, invocation: Invocation) -> int:
    """Apply the changes to the user's checkout."""
    way = "files" if options.no_commit else "squash" if options.squash else "merge"
    request = ApplyRequest.model_validate(
        {"repo": repo_of(options), "thread": options.thread, "way": way, "force": options.force}
    )
    done = work.apply(request, on_thread=invocation.about)
    if done.how == "refused":
        if not _wanted_all_the_same(done.reservations, options, invocation):
            invocation.next_command = invocation.on_thread("diff")
            return int(Exit.NOT_DONE)
        done = work.apply(request.model_copy(update={"force": True}))
    if done.reservations:
        print(f"warning: this work is not known to be correct: {_listed(done.reservations)}", file=sys.stderr)
    if options.json:
        write_answer(done.model_dump(mode="json"))
    else:
        print(without_control_characters(done.message))
    if done.applied:
        return 0
    invocation.next_command = " && ".join(done.commands)
    return int(Exit.NOT_DONE)


def _wanted_all_the_same(told: Sequence[str], options: argparse.Namespace, invocation: Invocation) -> bool:
    """Ask the user if present; otherwise refuse and name the option.

    Raises:
        ThreadError: No user is present to ask.
    """
    short = short_id(invocation.thread)
    if options.json or not sys.stdin.isatty():
        more = [name for name, given in (("--squash", options.squash), ("--no-commit", options.no_commit)) if given]
        invocation.next_command = invocation.on_thread("apply", options=(*more, "--force"))
        raise ThreadError(
            f"the work of {short} is not known to be correct: {_listed(told)}; nothing was applied",
            hint=f"review it with `rolecall diff {short}`, or use --force to apply it anyway",
        )
    for reason in told:
        print(f"warning: {without_control_characters(reason)}", file=sys.stderr)
    if confirm(f"the work of {short} is not known to be correct; apply it anyway?"):
        return True
    print("nothing was applied", file=sys.stderr)
    return False


def _listed(told: Sequence[str]) -> str:
    return without_control_characters("; ".join(told))
