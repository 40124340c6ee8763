"""The command `threads`: lists, shows, deletes or adopts threads."""

import argparse
import asyncio
import sys
from datetime import UTC, datetime

from core.errors import ThreadError, UsageError
from core.storage.layout import RepoLayout
from core.storage.thread_ids import short_id
from core.text import single_line
from rolecall.invocation import Invocation
from rolecall.output.event_text import without_control_characters
from rolecall.output.jsonl import write_answer
from rolecall.service import threads as service
from rolecall.service.lookup import Request, ThreadRequest, top_of
from rolecall.service.threads import DeleteRequest
from rolecall.terminal.confirm import confirm
from rolecall.thread_options import repo_of

_ADOPTED = """{folder} will be used from now on. Triggers and views in its database are dropped, and its threads forget
--trust-project, --config, --model and --checks. Do this only if you created it yourself; if it came with the
repository, delete it instead. Adopt it?"""


def threads(options: argparse.Namespace, invocation: Invocation) -> int:
    """List, show or delete."""
    if options.action in {"list", "adopt"}:
        if options.thread:
            hint = invocation.call("threads", "show", options.thread[0])
            raise UsageError(f"threads {options.action} takes no thread", hint=hint)
        return (_list if options.action == "list" else _adopt)(options, invocation)
    if not options.thread:
        raise UsageError(f"threads {options.action} needs a thread", hint=invocation.call("threads", "list"))
    if options.action == "show" and len(options.thread) > 1:
        raise UsageError("threads show takes one thread", hint=invocation.call("threads", "show", options.thread[0]))
    return (_show if options.action == "show" else _delete)(options, invocation)


def _list(options: argparse.Namespace, invocation: Invocation) -> int:
    found = service.list_threads(Request(repo=repo_of(options)))
    if found.unreadable:
        print(f"warning: {found.unreadable} entries that rolecall cannot have written were skipped", file=sys.stderr)
    if options.json:
        write_answer(found.model_dump(mode="json", include={"threads"}))
        return 0
    if not found.threads:
        print(f"no threads in {found.repo}", file=sys.stderr)
    for row in found.threads:
        print(f"{short_id(row.thread_id)}  {row.status:<12} {_ago(row.updated):>10}  {single_line(row.task, width=70)}")
    return 0


def _show(options: argparse.Namespace, invocation: Invocation) -> int:
    found = service.thread(
        ThreadRequest(repo=repo_of(options), thread=options.thread[0]), on_thread=invocation.about
    )  # fmt: skip
    record = {**found.model_dump(mode="json", exclude={"files", "messages"}), **found.files}
    if options.json:
        write_answer({"thread": {**record, **found.model_dump(mode="json", include={"messages"})}})
        return 0
    for name, value in record.items():
        for at, line in enumerate(_in_words(value).splitlines() or [""]):
            print(f"{name.replace('_', ' ') if at == 0 else '':<10} {without_control_characters(line)}".rstrip())
    for one in found.messages:
        where = f" at {single_line(one.node)}" if one.node else ""
        said = f"{single_line(one.author)}: {one.text or single_line(one.kind)}"
        refused = f" (not followed: {single_line(one.refused)})" if one.refused else ""
        print(f"message {one.id:<3}{one.status}{where}: {said}{refused}")
    return 0


def _in_words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_in_words(one)}" for name, one in value.items() if one not in ([], {}, "", False))
    if isinstance(value, list):
        return "; ".join(map(str, value))
    return "" if value is None else str(value)


def _delete(options: argparse.Namespace, invocation: Invocation) -> int:
    repo, names = repo_of(options), tuple(options.thread)
    if not options.yes:
        found = [service.thread(ThreadRequest(repo=repo, thread=name), on_thread=invocation.about) for name in names]
        shorts = [short_id(one.thread_id) for one in found]
        if options.json or not sys.stdin.isatty():
            where = ("--repo", invocation.repo) if invocation.repo else ()
            invocation.next_command = invocation.call("threads", "delete", *shorts, "--yes", *where)
            raise ThreadError("deleting a thread also deletes its branch and worktree", hint="use --yes to confirm")
        named = ", ".join(
            f"{short} ({single_line(one.task, width=60)})" for short, one in zip(shorts, found, strict=True)
        )
        if not confirm(f"delete {named}, {'its branch' if len(found) == 1 else 'their branches'} and worktree?"):
            print("kept", file=sys.stderr)
            return 0
    deleted = service.delete(DeleteRequest(repo=repo, threads=names), on_thread=invocation.about).threads
    if options.json:
        write_answer({"deleted": deleted[0] if len(deleted) == 1 else deleted})
    for thread in () if options.json else deleted:
        print(f"deleted {short_id(thread)}")
    return 0


def _adopt(options: argparse.Namespace, invocation: Invocation) -> int:
    top = asyncio.run(top_of(repo_of(options)))
    folder = RepoLayout(top).folder
    if not options.yes:
        if options.json or not sys.stdin.isatty():
            invocation.next_command = invocation.call("threads", "adopt", "--yes", "--repo", str(top))
            raise ThreadError(
                f"adopting {folder} means trusting what its database says about your threads",
                hint="use --yes if you created it yourself; if it came with the repository, delete it instead",
            )
        if not confirm(_ADOPTED.format(folder=folder)):
            print("nothing was changed", file=sys.stderr)
            return 0
    done = service.adopt(Request(repo=top))
    if options.json:
        write_answer(
            {"adopted": str(folder), "threads": done.threads, "dropped": done.dropped, "removed": done.removed}
        )
        return 0
    print(f"{folder} is now yours, with {done.threads} thread{'' if done.threads == 1 else 's'}")
    for name in done.dropped:
        print(f"dropped {without_control_characters(name)}")
    if done.removed:
        print(f"removed {done.removed} entries that were not threads")
    return 0


def _ago(at: datetime) -> str:
    seconds = max(0.0, (datetime.now(UTC) - at).total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return f"{int(seconds)} s ago"
