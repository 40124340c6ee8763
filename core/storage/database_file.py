"""Opens a SQLite file safely, with the tables this version knows. Runs no queries.

Nothing in a file except its rows is used: triggers or views are refused, functions named in its schema
are not trusted, and links to it are not followed.
"""

import sqlite3
import stat
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import RepositoryError

BUSY_TIMEOUT_S = 30
_RETRY_S = 0.01
_BY_PIECES = 2
"""SQLite's value for a file that shrinks on request."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step from an older layout to the next. Runs once per file, in the transaction that records its number."""

    number: int
    """Ascending and unique; a file stores the number of the last one applied."""
    script: str
    """Statements, each ending with a semicolon."""
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Table to column to type; added where a file lacks them."""


def open_file(
    path: Path, migrations: Sequence[Migration], *, checked: bool = True, autocommit: bool = True
) -> sqlite3.Connection:
    """Open a file, creating it on first use, and bring its tables up to date.

    Args:
        path: The file; its directory must exist.
        migrations: All that this version knows, in order.
        checked: Whether to refuse it with triggers or views; an unchecked file is not migrated either, and
            may only be cleaned.
        autocommit: Whether only statements start transactions, never the module `sqlite3`.

    Raises:
        sqlite3.Error: The file cannot be opened, is not SQLite's, or stays locked for 30 s; names the file.
        RepositoryError: It is not a plain file, contains triggers or views, or was written by a newer rolecall.
    """
    _require_plain(path)
    try:
        connection = _Guarded(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        try:
            new = _require_version(connection, path, migrations)
            _write_ahead(connection)
            if checked:
                _require_tables_only(connection, path)
                if new:
                    _migrate(connection, migrations)
            connection.isolation_level = None if autocommit else "DEFERRED"
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise about(error, path) from None
    return connection


def about(error: sqlite3.Error, path: Path) -> sqlite3.Error:
    """SQLite's error with the name of the file, which SQLite itself leaves out."""
    vars(error).setdefault("filename", str(path))
    return error


def shrink(connection: sqlite3.Connection) -> None:
    """Free the space of what was deleted from the file.

    A file of an older rolecall cannot shrink incrementally, so it is rewritten once; that waits for the next
    time if another process is reading it.
    """
    if _number(connection, "auto_vacuum") == _BY_PIECES:
        connection.executescript("PRAGMA incremental_vacuum")  # executed, it would free one page and stop
    else:
        connection.execute(f"PRAGMA auto_vacuum={_BY_PIECES}")
        with suppress(sqlite3.OperationalError):
            connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def drop_programs(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Drop all triggers, views and indexes (required ones are recreated later); returns their names."""
    query = "SELECT type, name FROM sqlite_master WHERE type IN ('trigger', 'view', 'index') AND sql IS NOT NULL"
    found = [(str(kind), str(name)) for kind, name in connection.execute(query).fetchall()]
    for kind, name in found:
        quoted = name.replace('"', '""')
        connection.execute(f'DROP {kind} "{quoted}"')
    # The next opening makes the indexes again.
    connection.execute("PRAGMA user_version=0")
    return tuple(f"{kind} {name}" for kind, name in found if kind != "index")


class _Guarded(sqlite3.Connection):
    """A connection that runs our statements and nothing its schema defines."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        try:
            for setting in ("trusted_schema=OFF", "cell_size_check=ON"):
                self.execute(f"PRAGMA {setting}").close()
            defensive = getattr(sqlite3, "SQLITE_DBCONFIG_DEFENSIVE", None)  # from Python 3.12 on
            if defensive is not None:
                vars(sqlite3.Connection)["setconfig"](self, defensive)
        except BaseException:
            self.close()
            raise


def _require_plain(path: Path) -> None:
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm", f"{path.name}-journal"):
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(path.with_name(name).lstat().st_mode):
                raise RepositoryError(
                    f"{path.with_name(name)} is a link or not a file, so the database is not opened",
                    hint="if you did not put it there, delete it",
                )


def _require_version(connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> bool:
    """Require that the file is not from a newer rolecall; returns whether it is older. Lets a new file shrink."""
    found, known = _number(connection, "user_version"), migrations[-1].number
    if found > known:
        raise RepositoryError(
            f"{path} was written by a newer rolecall (layout {found}; this one knows {known})",
            hint="use the newer rolecall for this repository",
        )
    if found == 0 and _number(connection, "page_count") == 0:
        connection.execute(f"PRAGMA auto_vacuum={_BY_PIECES}")
    return found < known


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    row = connection.execute(f"PRAGMA {pragma}").fetchone()
    return int(row[0]) if row else 0


def _require_tables_only(connection: sqlite3.Connection, path: Path) -> None:
    query = "SELECT type, name FROM sqlite_master WHERE type IN ('trigger', 'view') LIMIT 1"
    found = connection.execute(query).fetchone()
    if found is not None:
        raise RepositoryError(
            f"{path} contains the {found[0]} {str(found[1])[:80]!r}, which rolecall did not create, so it is not used",
            hint="if it is yours, `rolecall threads adopt` removes what is not rolecall's; otherwise delete it",
        )


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log. SQLite does not wait for this one when others open a new file at the same time."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_S)
        else:
            return


def _migrate(connection: sqlite3.Connection, migrations: Sequence[Migration]) -> None:
    """Run the steps a file has not seen, all or none; others that open it at the same time wait."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        seen = _number(connection, "user_version")
        for step in migrations:
            if step.number > seen:
                _take(connection, step)
        connection.execute(f"PRAGMA user_version={max(seen, migrations[-1].number)}")
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def _take(connection: sqlite3.Connection, step: Migration) -> None:
    for statement in step.script.split(";"):  # `executescript` would commit first
        connection.execute(statement)
    for table, columns in step.columns.items():
        query = "SELECT name FROM pragma_table_info(?)"
        there = {name for (name,) in connection.execute(query, (table,)).fetchall()}
        for name, kind in columns.items():
            if name not in there:
                connection.execute(f"ALTER TABLE {table} ADD COLUMN {name} {kind}")
