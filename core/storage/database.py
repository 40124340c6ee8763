"""The SQL layer: one handle on a database, opened once and kept open, for queries and transactions only.

Queries use only what SQLite and Postgres share (named parameters, `ON CONFLICT`, `RETURNING`,
`count(*) FILTER`), so that another engine is another class beside this one. It does not know what the tables mean.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from core.storage.database_file import Migration, about, open_file, shrink
from core.storage.layout import RepoLayout
from core.storage.migrations import REPOSITORY
from core.text import readable

T = TypeVar("T")
Row = dict[str, Any]
"""A row, keyed by column name."""


class Transaction:
    """What a unit of work may do: all of it is written, or nothing."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, query: str, values: Mapping[str, Any] | None = None) -> list[Row]:
        """Run one statement; returns its rows, or what it is `RETURNING`.

        Args:
            query: With named parameters: `:thread`.
            values: Of the parameters. Text loses null bytes and lone surrogates, which not every engine stores.
        """
        cursor = self._connection.execute(query, {name: _stored(value) for name, value in (values or {}).items()})
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


class Database:
    """A SQLite file: write-ahead log, waiting for other writers, usable from any task and thread of the process.

    Within `async with`, one connection is kept open and one thread does its work, in the order of the calls. Outside
    it, and in a forked child, each unit of work has its own connection.

    Args:
        path: The file; its directory must exist.
        migrations: The steps that create the required tables.

    Raises (all methods):
        sqlite3.Error: It cannot be opened, read or written, or stays locked for 30 s; names the file.
        RepositoryError: It is not a plain file, contains triggers or views, or was written by a newer rolecall.
    """

    def __init__(self, path: Path, migrations: Sequence[Migration] = REPOSITORY) -> None:
        self.path = path
        self._migrations = migrations
        self._kept: _Kept | None = None

    async def __aenter__(self) -> Self:
        self._kept = kept = _Kept(self.open)
        try:
            await self._run(lambda _: None)
        except BaseException:
            self._kept = None
            await asyncio.to_thread(kept.close)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            await asyncio.shield(asyncio.to_thread(kept.close))

    async def read(self, query: str, values: Mapping[str, Any] | None = None) -> list[Row]:
        """The rows of one query."""
        return await self._run(lambda connection: Transaction(connection).execute(query, values))

    async def write(self, query: str, values: Mapping[str, Any] | None = None, *, durable: bool = True) -> list[Row]:
        """Run one statement in its own transaction; returns what it is `RETURNING`. `durable` as for `transaction`."""
        return await self.transaction(lambda unit: unit.execute(query, values), durable=durable)

    async def transaction(self, work: Callable[[Transaction], T], *, durable: bool = True) -> T:
        """Do a unit of work while no one else writes; an error undoes all of it.

        Args:
            work: Runs to the end in another thread, even if the caller is cancelled meanwhile.
            durable: Whether to wait for the disk; otherwise a power cut, but nothing less, may lose the last rows.
        """
        return await self._run(lambda connection: _transact(connection, work, durable=durable))

    async def erase(self, work: Callable[[Transaction], T]) -> T:
        """A transaction that overwrites what it deletes and frees the space."""

        def erased(connection: sqlite3.Connection) -> T:
            connection.execute("PRAGMA secure_delete=ON").fetchall()
            try:
                result = _transact(connection, work, durable=True)
                shrink(connection)
            finally:
                connection.execute("PRAGMA secure_delete=OFF").fetchall()
            return result

        return await self._run(erased)

    def open(self, *, autocommit: bool = True) -> sqlite3.Connection:
        """A separate connection, as LangGraph's saver needs; for the calling thread."""
        return open_file(self.path, self._migrations, autocommit=autocommit)

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        kept = self._kept
        try:
            if kept is None or kept.process != os.getpid():
                return await asyncio.to_thread(self._once, work)
            return await asyncio.wrap_future(kept.submit(work))
        except sqlite3.Error as error:
            raise about(error, self.path) from None

    def _once(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = self.open()
        try:
            return work(connection)
        finally:
            connection.close()


def database_of(repo: Path) -> Database:
    """A handle on a repository's database, not opened yet."""
    return Database(RepoLayout(repo).database)


class _Kept:
    """A connection and the one thread that may use it."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self.process = os.getpid()
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="database")

    def submit(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        return self._worker.submit(self._do, work)

    def close(self) -> None:
        self._worker.submit(self._end).result()
        self._worker.shutdown()

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._connection is None:
            self._connection = self._connect()
        return work(self._connection)

    def _end(self) -> None:
        if self._connection is not None:
            self._connection.close()


def _transact(connection: sqlite3.Connection, work: Callable[[Transaction], T], *, durable: bool) -> T:
    connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(Transaction(connection))
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    return result


def _stored(value: Any) -> Any:
    if not isinstance(value, str) or (value.isascii() and "\0" not in value):
        return value
    return readable(value).replace("\0", "\N{REPLACEMENT CHARACTER}")
