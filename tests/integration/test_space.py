"""What a thread takes on the disk, and what is given back when it is deleted."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from core.storage.database import Database, database_of
from graph.store.checkpoints import serializer
from graph.store.thread_store import ThreadStore
from tests.integration.jobs import SLUGIFY, SLUGS, do, openai, report_of, settings_with
from tests.modelserver.competent import CompetentScript
from tests.modelserver.server import ModelServer
from tests.repositories import make_repository

MOST = 100 * 1024
MOST_LOGGED = 40 * 1024


def bytes_of(database: Path) -> int:
    """Bytes of the file once its log is written back."""
    with closing(sqlite3.connect(database)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return database.stat().st_size


def bytes_without_holes(database: Path) -> int:
    """The same without the room in half-filled pages, which the next threads use up; how much depends on their ids."""
    copy = database.with_suffix(".copy")
    with closing(sqlite3.connect(database)) as db:
        db.execute("VACUUM INTO ?", (str(copy),))
    size = copy.stat().st_size
    copy.unlink()
    return size


async def test_a_thread_of_one_step_is_small_and_deleting_it_gives_its_space_back(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    database, sizes, full, threads = database_of(repo).path, [], [], []
    with ModelServer(CompetentScript(files=SLUGIFY)) as server:
        settings = settings_with(openai(server.v1, context_length=100_000))
        for _ in range(3):
            done = await do(repo, "Add a function slugify", settings, checks=["test -f slugs/slugify.py"])
            assert done.status == "done"
            threads.append(done.thread_id)
            sizes.append(bytes_of(database))
            full.append(bytes_without_holes(database))
    folders = [repo / ".rolecall/runs" / thread for thread in threads[1:]]
    papers = {path: path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file()}
    logged = sum(size for path, size in papers.items() if path.name == "debug.log")
    assert (full[2] - full[0] + sum(papers.values()) - logged) / 2 <= MOST
    assert logged / 2 <= MOST_LOGGED
    store = ThreadStore(Database(database))
    for thread in threads[1:]:
        await store.forget(thread)
    assert bytes_of(database) <= sizes[0] + 8 * 4096
    assert (await report_of(repo, threads[0])).status == "done"


async def test_a_file_of_an_older_version_shrinks_too(tmp_path: Path) -> None:
    database = tmp_path / "rolecall.db"
    with closing(sqlite3.connect(database)) as db:
        db.execute("CREATE TABLE checkpoints(thread_id TEXT, checkpoint BLOB)")
        db.execute("INSERT INTO checkpoints VALUES('a', randomblob(500000))")
        db.commit()
    await ThreadStore(Database(database)).forget("a")
    assert bytes_of(database) < 150_000  # what the tables take when they are empty


def test_what_is_packed_reads_the_same_and_plain_rows_stay_readable() -> None:
    serde, value = serializer(), {"channel_versions": {f"branch:to:{n}": f"{n:032}.0" for n in range(30)}}
    kind, data = serde.dumps_typed(value)
    assert (kind, len(data) < 400) == ("msgpack+zlib1", True)
    assert serde.loads_typed((kind, data)) == value
    plain = super(type(serde), serde).dumps_typed(value)
    assert (plain[0], serde.loads_typed(plain)) == ("msgpack", value)


async def test_deleting_beside_a_reader_waits_for_nobody(tmp_path: Path) -> None:
    database = tmp_path / "rolecall.db"
    with closing(sqlite3.connect(database)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("CREATE TABLE checkpoints(thread_id TEXT, checkpoint BLOB)")
        db.execute("INSERT INTO checkpoints VALUES('a', randomblob(500000))")
        db.commit()
        reader = db.execute("SELECT * FROM checkpoints")
        reader.fetchone()
        async with asyncio.timeout(10):
            await ThreadStore(Database(database)).forget("a")
        reader.close()
        assert db.execute("SELECT COUNT(*) FROM checkpoints").fetchone() == (0,)
