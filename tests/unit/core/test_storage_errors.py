import errno
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from core.errors import RepositoryError, RolecallError
from core.storage.database import Database
from core.storage.storage_errors import storage_error


@pytest.mark.parametrize(
    ("number", "code", "exit_code"),
    [
        (errno.ENOSPC, "disk_full", 75),
        (errno.EDQUOT, "disk_full", 75),
        (errno.EMFILE, "busy", 75),
        (errno.EACCES, "storage", 2),
        (errno.EROFS, "storage", 2),
        (errno.EIO, "storage", 2),
    ],
)
def test_what_the_system_refuses_has_a_code_and_names_the_place(number: int, code: str, exit_code: int) -> None:
    found = storage_error(ExceptionGroup("several", [ValueError(), OSError(number, "refused", "/a/place")]))
    assert isinstance(found, RolecallError)
    assert (found.code, found.exit_code) == (code, exit_code)
    assert "/a/place" in found.message or code == "busy"


def test_what_is_no_matter_of_storage_stays_what_it_is() -> None:
    assert storage_error(ValueError("x")) is None
    assert storage_error(OSError(errno.ECONNREFUSED, "refused")) is None


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rolecall.db"
    path.write_bytes(b"no database " * 100)
    with pytest.raises(sqlite3.DatabaseError) as caught:
        await Database(path).read("SELECT 1")
    found = storage_error(caught.value)
    assert found is not None
    assert (found.code, found.exit_code) == ("damaged", 2)
    assert str(path) in found.message


async def test_a_locked_database_is_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.storage.database_file.BUSY_TIMEOUT_S", 0.1)
    path = tmp_path / "rolecall.db"
    async with Database(path) as database:
        with closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(sqlite3.OperationalError) as caught:
                await database.write("DELETE FROM threads")
    found = storage_error(caught.value)
    assert found is not None
    assert (found.code, found.exit_code) == ("busy", 75)


async def test_a_file_of_a_newer_rolecall_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "rolecall.db"
    await Database(path).read("SELECT 1")
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(RepositoryError, match="newer rolecall"):
        await Database(path).read("SELECT 1")
    assert path.read_bytes() == before
