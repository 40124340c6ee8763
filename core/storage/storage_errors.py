"""Turns system and SQLite errors about disks, locks and damaged files into errors a user can act on."""

import errno
import shutil
import sqlite3
from pathlib import Path

from core.errors import BusyError, DamagedError, DiskFullError, RolecallError, StorageError

DISK_FULL = ("No space left on device", "Disk quota exceeded")
"""How programs report a full disk in the C locale."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})
_TOO_MANY = frozenset({errno.EMFILE, errno.ENFILE})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH})
_REFUSED = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM})
_DATABASE = "the database of this repository (.rolecall/rolecall.db)"
_KEPT = "all checkpoints written so far are safe"
_MAKE_ROOM = f"free some space, then run the command again; {_KEPT}"
_ALLOW = "check its permissions, then run the command again"


def storage_error(error: BaseException) -> RolecallError | None:
    """The user-facing error for a system error, or `None` if it is not one.

    Args:
        error: An `OSError`, an SQLite error, or a group of errors that contains one.
    """
    if isinstance(error, BaseExceptionGroup):
        return next((found for inner in error.exceptions if (found := storage_error(inner)) is not None), None)
    if isinstance(error, sqlite3.Error):
        return _of_sqlite(error)
    return _of_system(error) if isinstance(error, OSError) else None


def _of_system(error: OSError) -> RolecallError | None:
    where = str(error.filename) if error.filename else "one of rolecall's files"
    if error.errno in _FULL:
        return DiskFullError(f"the disk is full: {where} could not be written", hint=_MAKE_ROOM)
    if error.errno in _TOO_MANY:
        return BusyError("too many files are open", hint="raise the limit with `ulimit -n`, then run the command again")
    if error.errno == errno.EROFS:
        return StorageError(f"{where} is on a read-only file system", hint="make it writable, or work in a clone")
    if error.errno in _FORBIDDEN:
        return StorageError(f"{where} cannot be read or written: {error.strerror}", hint=_ALLOW)
    if error.errno == errno.EIO:
        return StorageError(f"disk error: {where}: {error.strerror}", hint="check the system log")
    return None


def _of_sqlite(error: sqlite3.Error) -> RolecallError | None:
    code = getattr(error, "sqlite_errorcode", None)
    where = getattr(error, "filename", _DATABASE)
    primary = None if code is None else code & 0xFF
    if primary in _BUSY:
        hint = f"run the command again when that process is done; {_KEPT}"
        return BusyError(f"{where} is locked by another process", hint=hint)
    if primary == sqlite3.SQLITE_FULL or (primary == sqlite3.SQLITE_IOERR and _has_no_room(where)):
        return DiskFullError(f"the disk is full: {where} could not be written", hint=_MAKE_ROOM)
    if primary in _REFUSED:
        return StorageError(f"{where} cannot be read or written: {error}", hint=_ALLOW)
    if primary == sqlite3.SQLITE_IOERR:
        return StorageError(f"disk error at {where}: {error}", hint=_MAKE_ROOM)
    if primary in _DAMAGED or (primary is None and isinstance(error, sqlite3.OperationalError)):
        return damaged(where, str(error))
    return None


def _has_no_room(where: str) -> bool:
    """Whether the disk that a file is on is full: SQLite also calls that a failure for a memory-mapped file."""
    folder = Path(where).parent
    return folder.is_dir() and shutil.disk_usage(folder).free == 0


def damaged(what: str, reason: str) -> DamagedError:
    """The error for stored data that cannot be read."""
    return DamagedError(
        f"{what} is damaged: {reason}",
        hint="restore a backup of it if you have one; committed work is still on the branches rolecall/…",
    )
