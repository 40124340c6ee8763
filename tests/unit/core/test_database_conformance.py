"""What every engine behind `Database` must do. Each test runs once per engine, on real files and processes."""

import asyncio
import os
import sqlite3
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from core.errors import RepositoryError
from core.storage.database import Database, Row, Transaction
from core.storage.database_file import Migration

ENGINES = {"sqlite": lambda folder: folder / "some.db"}
NOTES = (
    Migration(1, "CREATE TABLE notes(id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL UNIQUE, size INTEGER);"),
)
_TAGS = "CREATE TABLE tags(note INTEGER); INSERT INTO tags SELECT id FROM notes;"
ADD = "INSERT INTO notes(text, size) VALUES(:text, :size) RETURNING id, text"
WRITER = """
import asyncio, sys
from pathlib import Path
from core.storage.database import Database
from tests.unit.core.test_database_conformance import ADD, NOTES

async def main():
    async with Database(Path(sys.argv[1]), NOTES) as database:
        for number in range(25):
            await database.write(ADD, {"text": f"{sys.argv[2]} {number}", "size": number}, durable=False)

asyncio.run(main())
"""

Make = Callable[..., Database]


@pytest.fixture(params=sorted(ENGINES))
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Makes handles on one database."""
    place = ENGINES[request.param](tmp_path)
    return lambda migrations=NOTES: Database(place, migrations)


async def texts(database: Database) -> list[str]:
    return [row["text"] for row in await database.read("SELECT text FROM notes ORDER BY id")]


async def test_rows_come_by_name_and_what_is_written_comes_back(make: Make) -> None:
    async with make() as database:
        [added] = await database.write(ADD, {"text": "one", "size": None})
        assert added == {"id": 1, "text": "one"}
        rows = await database.read("SELECT * FROM notes WHERE text = :text", {"text": "one"})
    assert rows == [{"id": 1, "text": "one", "size": None}]
    assert await make().read("SELECT count(*) FILTER (WHERE size IS NULL) AS unknown FROM notes") == [{"unknown": 1}]


async def test_a_conflict_is_told_by_what_is_returned(make: Make) -> None:
    quietly = "INSERT INTO notes(text) VALUES(:text) ON CONFLICT DO NOTHING RETURNING id"
    replaced = "INSERT INTO notes(text, size) VALUES(:text, 2) ON CONFLICT(text) DO UPDATE SET size = excluded.size"
    async with make() as database:
        assert len(await database.write(quietly, {"text": "one"})) == 1
        assert await database.write(quietly, {"text": "one"}) == []
        await database.write(replaced, {"text": "one"})
        assert await database.read("SELECT text, size FROM notes") == [{"text": "one", "size": 2}]


@pytest.mark.parametrize(
    ("given", "kept"),
    [("a\0b", "a\ufffdb"), ("half \ud83d", "half \ufffd"), ("\ud83d\ude00", "\U0001f600"), ("Größe", "Größe")],
)
async def test_any_text_is_stored(make: Make, given: str, kept: str) -> None:
    async with make() as database:
        await database.write(ADD, {"text": given, "size": 0})
        assert await texts(database) == [kept]
        assert await database.read("SELECT id FROM notes WHERE text = :text", {"text": given}) == [{"id": 1}]


@pytest.mark.parametrize("kept", [True, False])
async def test_a_unit_of_work_that_fails_leaves_nothing(make: Make, *, kept: bool) -> None:
    def half(unit: Transaction) -> None:
        unit.execute(ADD, {"text": "one", "size": 1})
        raise ZeroDivisionError

    database = make()
    if kept:
        await database.__aenter__()
    try:
        with pytest.raises(ZeroDivisionError):
            await database.transaction(half)
        with pytest.raises(sqlite3.IntegrityError):
            await database.write("INSERT INTO notes(text) VALUES(NULL)")
        assert await texts(database) == []
        await database.write(ADD, {"text": "two", "size": 2})
        assert await texts(make()) == ["two"]
    finally:
        await database.__aexit__(None, None, None)


async def test_a_cancelled_caller_leaves_all_or_nothing_and_locks_nobody_out(make: Make) -> None:
    async with make() as database, make() as other:

        def both(unit: Transaction) -> None:
            unit.execute("DELETE FROM notes")
            unit.execute(ADD, {"text": "one", "size": 1})
            unit.execute(ADD, {"text": "two", "size": 2})

        for step in range(20):
            task = asyncio.create_task(database.transaction(both, durable=False))
            for _ in range(step):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert await texts(database) in ([], ["one", "two"])
        async with asyncio.timeout(5):
            await other.write("DELETE FROM notes")


async def test_tasks_and_threads_share_one_handle(make: Make) -> None:
    async with make() as database:

        async def add(name: str) -> None:
            for number in range(10):
                await database.write(ADD, {"text": f"{name} {number}", "size": number}, durable=False)

        threads = [threading.Thread(target=asyncio.run, args=(add(f"thread {one}"),)) for one in range(2)]
        for thread in threads:
            thread.start()
        await asyncio.gather(*(add(f"task {one}") for one in range(2)))
        for thread in threads:
            await asyncio.to_thread(thread.join)
        found = await texts(database)
    assert len(found) == 40
    for name in ("thread 0", "thread 1", "task 0", "task 1"):
        assert [text for text in found if text.startswith(name)] == [f"{name} {number}" for number in range(10)]


async def test_writers_in_many_processes_lose_nothing_even_on_a_new_database(make: Make) -> None:
    command = (sys.executable, "-c", WRITER, str(make().path))
    top = Path(__file__).parents[3]
    writers = [await asyncio.create_subprocess_exec(*command, name, cwd=top) for name in ("one", "two", "three")]
    assert [await writer.wait() for writer in writers] == [0, 0, 0]
    assert len(await texts(make())) == 75


async def test_a_reader_waits_for_no_writer_and_a_writer_for_its_turn(make: Make) -> None:
    await make().write(ADD, {"text": "one", "size": 1})
    holds, let_go = threading.Event(), threading.Event()

    def hold(unit: Transaction) -> None:
        unit.execute("DELETE FROM notes")
        holds.set()
        assert let_go.wait(10)

    async with make() as database, make() as other:
        holding = asyncio.create_task(database.transaction(hold))
        assert await asyncio.to_thread(holds.wait, 10)
        assert await texts(other) == ["one"]
        waiting = asyncio.create_task(other.write(ADD, {"text": "two", "size": 2}))
        await asyncio.wait({waiting}, timeout=0.2)
        assert not waiting.done()
        let_go.set()
        await asyncio.gather(holding, waiting)
        assert await texts(other) == ["two"]


async def test_whoever_waits_too_long_is_told_so(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.storage.database_file.BUSY_TIMEOUT_S", 0.1)
    holds, let_go = threading.Event(), threading.Event()

    def hold(unit: Transaction) -> None:
        holds.set()
        assert let_go.wait(10)

    async with make() as database, make() as other:
        holding = asyncio.create_task(database.transaction(hold))
        assert await asyncio.to_thread(holds.wait, 10)
        with pytest.raises(sqlite3.OperationalError, match="locked") as caught:
            await other.write(ADD, {"text": "two", "size": 2})
        assert vars(caught.value)["filename"] == str(other.path)
        let_go.set()
        await holding
        await other.write(ADD, {"text": "two", "size": 2})


async def test_migrations_run_once_in_order_and_keep_what_is_there(make: Make) -> None:
    await make().write(ADD, {"text": "one", "size": 1})
    later = (
        *NOTES,
        Migration(2, _TAGS, {"notes": {"kind": "TEXT"}}),
        Migration(5, "INSERT INTO tags VALUES(7);"),
    )  # fmt: skip
    handles = [make(later) for _ in range(4)]
    found = await asyncio.gather(*(handle.read("SELECT note FROM tags ORDER BY note") for handle in handles))
    assert found == [[{"note": 1}, {"note": 7}]] * 4
    assert await handles[0].read("SELECT text, kind FROM notes") == [{"text": "one", "kind": None}]


async def test_a_migration_that_fails_leaves_the_database_as_it_was(make: Make) -> None:
    await make().write(ADD, {"text": "one", "size": 1})
    with pytest.raises(sqlite3.OperationalError):
        await make((*NOTES, Migration(2, "DELETE FROM notes; DELETE FROM nowhere;"))).read("SELECT 1")
    assert await texts(make()) == ["one"]


async def test_a_database_of_a_newer_version_is_refused(make: Make) -> None:
    async with make((*NOTES, Migration(2, "CREATE TABLE more(id INTEGER);"))) as newer:
        await newer.write(ADD, {"text": "one", "size": 1})
        with pytest.raises(RepositoryError, match="written by a newer rolecall"):
            await make().read("SELECT 1")
        assert await texts(newer) == ["one"]


async def test_what_is_erased_is_not_left_in_the_file(make: Make) -> None:
    words = "the quick brown fox " * 4_000
    async with make() as database:
        await database.write(ADD, {"text": words, "size": 1})
        before = database.path.stat().st_size + database.path.with_name(f"{database.path.name}-wal").stat().st_size

        def gone(unit: Transaction) -> list[Row]:
            return unit.execute("DELETE FROM notes RETURNING id")

        assert await database.erase(gone) == [{"id": 1}]
    assert b"quick brown" not in database.path.read_bytes()
    assert database.path.stat().st_size < before / 2


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
async def test_a_forked_child_uses_a_connection_of_its_own(make: Make) -> None:
    async with make() as database:
        await database.write(ADD, {"text": "parent", "size": 1})
        child = os.fork()
        if child == 0:
            code = 1
            try:
                asyncio.set_event_loop(None)
                asyncio.events._set_running_loop(None)
                asyncio.run(database.write(ADD, {"text": "child", "size": 2}))
                code = 0
            finally:
                os._exit(code)
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        await database.write(ADD, {"text": "parent again", "size": 3})
        assert await texts(database) == ["parent", "child", "parent again"]
    with closing(sqlite3.connect(database.path)) as found:
        assert found.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_after_its_block_a_handle_goes_on_without_a_kept_connection(make: Make) -> None:
    async with make() as database:
        await database.write(ADD, {"text": "one", "size": 1})
    assert not database.path.with_name(f"{database.path.name}-wal").exists()
    assert await texts(database) == ["one"]
