"""The directory for what rolecall stores per user across all repositories, and the secret that marks what it created.

Owns the path and the secret; anything else in the directory belongs to the code that puts it there.
"""

import errno
import os
import secrets
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from platformdirs import user_state_path

from core.errors import ConfigError

STATE_DIR_VARIABLE = "ROLECALL_STATE_DIR"
_SECRET = "owner.key"  # noqa: S105 - the name of a file
_BYTES = 32
_OTHERS = 0o077


def state_folder(folder: Path | None = None) -> Path:
    """The directory that all runs of this user share, created if missing.

    Args:
        folder: Where it is; `None` means `$ROLECALL_STATE_DIR`, else the user's state directory, else (when that
            cannot be written) a directory of this user in the temporary directory.

    Raises:
        ConfigError: There is no writable directory that belongs to this user.
    """
    wanted = folder or _wanted()
    try:
        wanted.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=wanted):
            return wanted
    except OSError:
        return _temporary()


def user_secret() -> bytes:
    """The 32 bytes that only this user has, created on first use.

    Raises:
        ConfigError: They cannot be stored, or the stored key is not private to this user.
    """
    for place in (_wanted(), _temporary_path()):
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            return _read(place / _SECRET)
    place = state_folder()
    try:
        _make(place)
        return _read(place / _SECRET)
    except OSError as error:
        raise ConfigError(
            f"this user's key cannot be stored in {place}: {error.strerror}",
            hint=f"set {STATE_DIR_VARIABLE} to a directory you own",
        ) from error


def _wanted() -> Path:
    named = os.environ.get(STATE_DIR_VARIABLE)
    return Path(named) if named else user_state_path("rolecall", appauthor=False)


def _temporary_path() -> Path:
    return Path(tempfile.gettempdir()) / f"rolecall-{os.getuid() if hasattr(os, 'getuid') else 'user'}"


def _temporary() -> Path:
    """Our directory in the temporary one, which anyone might have created before us."""
    place = _temporary_path()
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        found = place.lstat()
    except OSError as error:
        raise _nowhere(place) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & _OTHERS:
        raise _nowhere(place)
    return place


def _nowhere(place: Path) -> ConfigError:
    said = f"{_wanted()} is not writable, and {place} is not a directory private to this user"
    return ConfigError(said, hint=f"set {STATE_DIR_VARIABLE} to a directory you own")


def _read(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _not_alone(path) from error
        raise
    try:
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_mode & _OTHERS:
            os.fchmod(descriptor, 0o600)
            found = os.fstat(descriptor)
        data = os.read(descriptor, _BYTES + 1)
    finally:
        os.close(descriptor)
    alone = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & _OTHERS
    if not alone or len(data) != _BYTES:
        raise _not_alone(path)
    return data


def _not_alone(path: Path) -> ConfigError:
    return ConfigError(
        f"{path} is not a key that only this user can read",
        hint="delete it, then adopt your repositories' threads again with `rolecall threads adopt`; or set "
        f"{STATE_DIR_VARIABLE} to another directory",
    )


def _make(place: Path) -> None:
    """Write the whole key under another name first; if two processes do so at once, the first one's stays."""
    made = place / f".{_SECRET}-{os.getpid()}-{secrets.token_hex(4)}"
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(made, place / _SECRET)
        except FileExistsError:
            return
        except OSError as error:
            if error.errno not in {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}:
                raise
            made.rename(place / _SECRET)  # a file system without hard links
    finally:
        made.unlink(missing_ok=True)
