"""The command `threads`: what there is, one in detail, and taking one away."""

import argparse
import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import ThreadError, UsageError
from core.storage.layout import RepoLayout
from core.storage.thread_ids import short_id
from rolecall.invocation import Invocation
from rolecall.lookup import as_it_stands, database_in, folder_of, store_of, thread_named, top_of
from rolecall.output.event_text import single_line, without_control_characters
from rolecall.output.jsonl import write_answer
from rolecall.terminal.confirm import confirm

if TYPE_CHECKING:
    from graph.store.receipts import Receipt
    from graph.store.thread_store import ThreadRow

_ADOPTED = """{folder} will be used from now on. What its database would run is dropped, and its threads forget
--trust-project, --config, --model and --checks. Do this only if you made it yourself; if it came with the
repository, delete it instead. Take it over?"""


def threads(options: argparse.Namespace, invocation: Invocation) -> int:
    """List, show or delete."""
    if options.action in {"list", "adopt"}:
        if options.thread:
            hint = invocation.call("threads", "show", options.thread)
            raise UsageError(f"threads {options.action} takes no thread", hint=hint)
        return asyncio.run((_list if options.action == "list" else _adopt)(options, invocation))
    if not options.thread:
        raise UsageError(f"threads {options.action} needs a thread", hint=invocation.call("threads", "list"))
    return asyncio.run((_show if options.action == "show" else _delete)(options, invocation))


async def _list(options: argparse.Namespace, invocation: Invocation) -> int:
    top = await top_of(folder_of(options))
    store = await store_of(top, invocation) if await database_in(top) else None
    rows = [await as_it_stands(row, top) for row in await store.list()] if store else []
    if store and (left_out := await store.unreadable()):
        print(f"warning: {left_out} entries that rolecall cannot have written are left out", file=sys.stderr)
    if options.json:
        write_answer({"threads": [_record(row) for row in rows]})
        return 0
    if not rows:
        print(f"no threads in {top}", file=sys.stderr)
    for row in rows:
        status, task = single_line(row.status), single_line(row.task, width=70)
        print(f"{short_id(row.thread_id)}  {status:<12} {_ago(row.updated):>10}  {task}")
    return 0


async def _show(options: argparse.Namespace, invocation: Invocation) -> int:
    top = await top_of(folder_of(options))
    row = await thread_named(top, options.thread, invocation)
    row = await as_it_stands(row, top)
    record = {**_record(row), **_papers(top, row)}
    messages = await _messages(top, row)
    if options.json:
        write_answer({"thread": {**record, "messages": messages}})
        return 0
    for name, value in record.items():
        for at, line in enumerate(_in_words(value).splitlines() or [""]):
            print(f"{name.replace('_', ' ') if at == 0 else '':<10} {without_control_characters(line)}".rstrip())
    for one in messages:
        where = f" at {single_line(one['node'])}" if one["node"] else ""
        said = f"{single_line(one['author'])}: {one['text'] or single_line(one['kind'])}"
        refused = f" (not followed: {single_line(one['refused'])})" if one["refused"] else ""
        print(f"message {one['id']:<3}{one['status']}{where}: {said}{refused}")
    return 0


def _papers(top: Path, row: "ThreadRow") -> dict[str, str]:
    """What the thread wrote, as far as it got. A report of an end that it has gone beyond says nothing of it now."""
    files = RepoLayout(top).run(row.thread_id)
    reported = row.finished or row.status in {"budget", "needs_model"}
    papers = {"report": files.report, "diff": files.diff} if reported else {}
    papers["events"] = files.events
    return {name: str(path) for name, path in papers.items() if path.is_file()}


def _in_words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_in_words(one)}" for name, one in value.items() if one not in ([], {}, "", False))
    if isinstance(value, list):
        return "; ".join(map(str, value))
    return "" if value is None else str(value)


async def _messages(top: Path, row: "ThreadRow") -> list[dict[str, Any]]:
    """What was put into the thread's inbox, and what became of it."""
    from graph.store.checkpoints import database_of
    from graph.store.inbox import SqliteInbox

    items = await SqliteInbox(database_of(top), row.thread_id).after(0)
    if not items:
        return []
    from core.config.settings import Settings
    from graph.runner import open_graph
    from graph.store.receipts import read_receipts

    async with open_graph(Settings(), database_of(top)) as graph:
        found = await read_receipts(graph, row.thread_id, items)
    return [
        {
            "id": receipt.item.id,
            "kind": receipt.item.kind,
            "author": receipt.item.author,
            "text": single_line(receipt.item.text),
            "status": _became(receipt, row),
            "node": receipt.node,
            "checkpoint": receipt.checkpoint,
            "refused": receipt.refused,
        }
        for receipt in found
    ]


def _became(receipt: "Receipt", row: "ThreadRow") -> str:
    """What became of a message; the graph itself sees an order that stopped it only when it is resumed."""
    stopped_it = receipt.item.kind == "pause" and receipt.status == "queued" and row.status == "paused"
    return "obeyed" if stopped_it else receipt.status


async def _delete(options: argparse.Namespace, invocation: Invocation) -> int:
    top = await top_of(folder_of(options))
    row = await thread_named(top, options.thread, invocation)
    if not options.yes:
        if options.json or not sys.stdin.isatty():
            invocation.next_command = invocation.on_thread("threads", "delete", options=("--yes",))
            raise ThreadError("deleting a thread also deletes its branch and worktree", hint="say --yes to do it")
        task = single_line(row.task, width=60)
        if not await confirm(f"delete {short_id(row.thread_id)} ({task}), its branch and worktree?"):
            print("kept", file=sys.stderr)
            return 0
    await _forget(top, row.thread_id, invocation)
    if options.json:
        write_answer({"deleted": row.thread_id})
    else:
        print(f"deleted {short_id(row.thread_id)}")
    return 0


async def _adopt(options: argparse.Namespace, invocation: Invocation) -> int:
    from graph.store.adoption import adopt_folder

    top = await top_of(folder_of(options))
    folder = RepoLayout(top).folder
    if not options.yes:
        if options.json or not sys.stdin.isatty():
            invocation.next_command = invocation.call("threads", "adopt", "--yes", "--repo", str(top))
            raise ThreadError(
                f"taking over {folder} means to trust what its database says of your threads",
                hint="say --yes if you made it yourself; if it came with the repository, delete it instead",
            )
        if not await confirm(_ADOPTED.format(folder=folder)):
            print("left as it is", file=sys.stderr)
            return 0
    done = await adopt_folder(top)
    if options.json:
        write_answer(
            {"adopted": str(folder), "threads": done.threads, "dropped": done.dropped, "removed": done.removed}
        )
        return 0
    print(f"{folder} is yours, with {done.threads} thread{'' if done.threads == 1 else 's'}")
    for name in done.dropped:
        print(f"dropped {without_control_characters(name)}")
    if done.removed:
        print(f"removed {done.removed} entries that were no threads")
    return 0


async def _forget(top: Path, thread_id: str, invocation: Invocation) -> None:
    from graph.store.checkpoints import database_of
    from graph.store.lease import Lease, supervisor_lease
    from tools.worktree.workspace import GitWorkspace

    store = await store_of(top, invocation)
    database = database_of(top)
    # Nobody may begin to drive it while it goes away; a thread that is driven or supervised stays.
    async with (
        Lease(database, thread_id, discard=True),
        Lease(database, supervisor_lease(thread_id), discard=True),
    ):
        await (await GitWorkspace.open(top, thread_id)).remove()
        await asyncio.to_thread(RepoLayout(top).remove_run, thread_id)
        await store.forget(thread_id)


def _record(row: "ThreadRow") -> dict[str, Any]:
    return {
        "thread_id": row.thread_id,
        "status": row.status,
        "exit_code": row.exit_code,
        "task": row.task,
        "branch": row.branch,
        "repo": str(row.repo),
        "options": row.options,
        "created": _iso(row.created),
        "updated": _iso(row.updated),
    }


def _iso(moment: float) -> str:
    at = datetime.fromtimestamp(moment, UTC)
    return at.isoformat(timespec="seconds")


def _ago(moment: float) -> str:
    at = datetime.fromtimestamp(moment, UTC)
    seconds = max(0.0, (datetime.now(UTC) - at).total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return f"{int(seconds)} s ago"
