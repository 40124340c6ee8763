import json
from pathlib import Path

import pytest

from core.errors import DamagedError, ThreadError
from core.storage.database import Database
from core.threads import ThreadOptions, ThreadRow
from graph.store.event_log import EventLog
from graph.store.inbox import SqliteInbox
from graph.store.thread_store import ThreadStore
from tools.worktree.workspace import GitWorkspace


def id_of(beginning: str) -> str:
    digits = f"{beginning:0<32}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


A, B = id_of("a"), id_of("b")


def row(thread: str, *, updated: float = 1.0) -> ThreadRow:
    return ThreadRow(
        thread_id=thread, task="t", repo=Path("repo"), branch="b", status="running",
        options={"checks": ["make test"]}, created=updated, updated=updated,
    )  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> ThreadStore:
    return ThreadStore(Database(tmp_path / "rolecall.db"))


async def test_a_thread_is_found_by_the_beginning_of_its_id(store: ThreadStore) -> None:
    await store.create(row(id_of("aaaa1")))
    await store.create(row(id_of("aaaa2")))
    assert (await store.find("AAAA1")).options == ThreadOptions(checks=["make test"])
    with pytest.raises(ThreadError, match="matches 2 threads"):
        await store.find("aaaa")
    with pytest.raises(ThreadError, match="no thread 'ffff'"):
        await store.find("ffff")


async def test_the_last_thread_is_the_one_worked_on_last(store: ThreadStore) -> None:
    with pytest.raises(ThreadError, match="this repository has no threads"):
        await store.last()
    await store.create(row(A, updated=1))
    await store.create(row(B, updated=2))
    await store.set_status(A, "done", exit_code=0)
    last = await store.last()
    assert (last.thread_id, last.status, last.exit_code, last.finished) == (A, "done", 0, True)


async def test_a_status_nobody_knows_leaves_the_thread_resumable(store: ThreadStore, tmp_path: Path) -> None:
    await store.create(row(A))
    await Database(tmp_path / "rolecall.db").write("UPDATE threads SET status = 'flying'")
    found = await store.find(A)
    assert (found.status, found.finished) == ("interrupted", False)


async def test_a_thread_whose_entry_cannot_be_read_is_damaged_and_not_absent(
    store: ThreadStore, tmp_path: Path
) -> None:
    await store.create(row(A))
    await Database(tmp_path / "rolecall.db").write("UPDATE threads SET options = '{'")
    with pytest.raises(DamagedError, match=f"the entry of thread '{A[:8]}'.* is damaged"):
        await store.find(A[:8])
    with pytest.raises(ThreadError, match="no thread 'ffff'"):
        await store.find("ffff")


async def test_making_a_thread_again_changes_nothing(store: ThreadStore) -> None:
    await store.create(row(A))
    await store.set_status(A, "done", exit_code=0)
    await store.create(row(A))
    assert (await store.find(A)).status == "done"


async def test_forgetting_a_thread_takes_its_rows_everywhere_and_no_others(store: ThreadStore, tmp_path: Path) -> None:
    for thread in (A, B):
        await store.create(row(thread))
        inbox = SqliteInbox(Database(tmp_path / "rolecall.db"), thread)
        await inbox.put(thread, kind="guidance", author="user", text="x")
    await store.forget(A)
    assert [item.thread_id for item in await store.list()] == [B]
    gone, kept = (SqliteInbox(Database(tmp_path / "rolecall.db"), thread) for thread in (A, B))
    assert await gone.after(0) == []
    assert len(await kept.after(0)) == 1


def test_a_line_that_a_kill_cut_off_does_not_hide_the_others(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventLog("t", path) as log:
        log.emit("status", text="one\u2028line")
    with path.open("a") as file:
        file.write('{"v": 1, "eve')
    with EventLog("t", path) as log:
        log.emit("status", text="two")
    whole, cut, after = path.read_text().removesuffix("\n").split("\n")
    assert [json.loads(line)["text"] for line in (whole, after)] == ["one\u2028line", "two"]
    assert cut == '{"v": 1, "eve'


async def test_ids_that_begin_with_the_time_have_short_names_that_differ(store: ThreadStore, tmp_path: Path) -> None:
    first, second = "01a1fe58-4a08-771e-b920-5cb6eb94149b", "01a1fe58-4a09-7e02-8b5f-9d60c1aa7e33"
    for thread in (first, second):
        await store.create(row(thread))
    assert GitWorkspace(tmp_path, first).branch != GitWorkspace(tmp_path, second).branch
    found = await store.find("EB94149b")
    assert (found.thread_id, f"rolecall/{found.short}") == (first, GitWorkspace(tmp_path, first).branch)
    with pytest.raises(ThreadError, match="matches 2 threads"):
        await store.find("01a1fe58")
