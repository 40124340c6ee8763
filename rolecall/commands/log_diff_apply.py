"""The commands `log`, `diff` and `apply`: what a thread did, what it changed, and taking that over."""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import Exit, ThreadError
from core.storage.thread_ids import short_id
from rolecall.invocation import Invocation
from rolecall.lookup import as_it_stands, folder_of, record_of, settings_of, thread_named, top_of
from rolecall.output.event_reader import Follower, event_of
from rolecall.output.event_text import single_line, without_control_characters
from rolecall.output.jsonl import write_answer
from rolecall.output.run_view import RunView
from rolecall.output.streams import write_patch
from rolecall.terminal.confirm import confirm

if TYPE_CHECKING:
    from graph.store.thread_store import ThreadRow
    from tools.worktree.staging_rules import StagingRules


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
    for text in map(json.dumps, records) if options.json else log_lines(records):
        print(text)
    return 0


def log_lines(records: Iterable[dict[str, Any]]) -> Iterator[str]:
    """The record of a thread in lines, each beginning with its date and time."""
    view = RunView()
    for record in records:
        event = event_of(record)
        trace = str(event.data.get("traceback") or "")
        for at, line in enumerate(without_control_characters(f"{view.apply(event) or ''}\n{trace}").splitlines()):
            moment = f"{event.ts.astimezone():%Y-%m-%d %H:%M:%S}" if at == 0 else ""
            if line:
                yield f"{moment:<19}  {line}"


async def _diff(options: argparse.Namespace, invocation: Invocation) -> int:
    from tools.worktree.workspace import GitWorkspace

    top = await top_of(folder_of(options))
    row = await thread_named(top, options.thread, invocation)
    workspace = await GitWorkspace.open(top, row.thread_id, await _rules(row, top))
    begun = bool(row.branch)
    # What goes into a pipe may go into `git apply`, which wants binary files and whole object names.
    readable = options.stat or options.json or sys.stdout.isatty()
    text = await (workspace.diff(stat=options.stat) if readable else workspace.patch()) if begun else ""
    if options.json:
        write_answer({"thread": row.thread_id, "diff": text})
    elif text:
        write_patch(text if text.endswith("\n") else f"{text}\n")
    else:
        print("nothing was changed", file=sys.stderr)
    return 0


async def _apply(options: argparse.Namespace, invocation: Invocation) -> int:
    from graph.store.checkpoints import database_of
    from graph.store.lease import live_holder
    from tools.worktree.apply import ApplyMode, apply_branch, has_work

    top = await top_of(folder_of(options))
    row = await thread_named(top, options.thread, invocation)
    running = await live_holder(database_of(top), row.thread_id) is not None
    told = await _told_against(row, top) if await has_work(top, row.thread_id) else ()
    if told and not options.force and not await _wanted_all_the_same(told, options, invocation):
        invocation.next_command = invocation.on_thread("diff")
        return int(Exit.NOT_DONE)
    way: ApplyMode = "files" if options.no_commit else "squash" if options.squash else "merge"
    title, rules = single_line(row.task, width=72), await _rules(row, top)
    outcome = await apply_branch(top, row.thread_id, title=title, running=running, rules=rules, way=way)
    if told:
        print(f"warning: this work is not known to be right: {_listed(told)}", file=sys.stderr)
    if options.json:
        write_answer({
            "thread": row.thread_id, **outcome.model_dump(mode="json"), "applied": outcome.applied,
            "reservations": told,
        })  # fmt: skip
    else:
        print(without_control_characters(outcome.message))
    if outcome.applied:
        return 0
    invocation.next_command = " && ".join(outcome.commands)
    return int(Exit.NOT_DONE)


async def _told_against(row: "ThreadRow", top: Path) -> tuple[str, ...]:
    from graph.apply_warnings import apply_warnings
    from graph.store.checkpoints import database_of

    return await apply_warnings(await as_it_stands(row, top), database_of(top))


async def _wanted_all_the_same(told: Sequence[str], options: argparse.Namespace, invocation: Invocation) -> bool:
    """Ask whoever is there; without anybody, refuse and name the option.

    Raises:
        ThreadError: Nobody is there to be asked.
    """
    short = short_id(invocation.thread)
    if options.json or not sys.stdin.isatty():
        more = [name for name, given in (("--squash", options.squash), ("--no-commit", options.no_commit)) if given]
        invocation.next_command = invocation.on_thread("apply", options=(*more, "--force"))
        raise ThreadError(
            f"the work of {short} is not known to be right: {_listed(told)}; nothing was applied",
            hint=f"look at it with `rolecall diff {short}`, or say --force to take it all the same",
        )
    for reason in told:
        print(f"warning: {without_control_characters(reason)}", file=sys.stderr)
    if await confirm(f"the work of {short} is not known to be right; apply it all the same?"):
        return True
    print("nothing was applied", file=sys.stderr)
    return False


def _listed(told: Sequence[str]) -> str:
    return without_control_characters("; ".join(told))


async def _rules(row: "ThreadRow", top: Path) -> "StagingRules":
    """What the thread leaves out of its commits, by the configuration it was begun with."""
    from core.known_secrets import redactor_of
    from core.secret_files import SecretFiles
    from tools.worktree.staging_rules import StagingRules

    settings = await settings_of(row, top)
    return StagingRules(SecretFiles(settings.sandbox.show), redactor_of(settings))
