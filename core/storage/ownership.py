"""Whether `.rolecall/` is ours: created by rolecall for this user, not by whoever supplied the repository.

A cloned or unpacked repository can contain such a directory, and its contents control runs. So the directory has a
mark that only this user's key can create; it names no path, so a repository may be moved. Owns the mark and the checks
of the directory itself; `tools.git.state_folder` checks whether git tracks it.
"""

import errno
import hashlib
import hmac
import json
import os
import secrets
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from core.errors import RepositoryError
from core.storage.layout import DATABASE_FILES, FOLDER, OPEN_FOLDER, RUNS, STUDIO, WORKTREES, RepoLayout
from core.storage.user_state import user_secret

MARK = "owner"
_LARGEST = 4096
_KINDS = {**dict.fromkeys(DATABASE_FILES, stat.S_IFREG), **dict.fromkeys((WORKTREES, RUNS, STUDIO), stat.S_IFDIR)}

FolderOwnership = Literal["absent", "ours", "unmarked"]


def folder_ownership(layout: RepoLayout) -> FolderOwnership:
    """The state of the directory; reads nothing in it but its mark.

    An empty directory counts as absent: it contains nothing that could do harm.

    Raises:
        RepositoryError: It is not a plain directory, belongs to another user, or contains a link in place of our own.
    """
    with _opened(layout) as folder:
        if folder is None:
            return "absent"
        _require_plain(layout, folder)
        if _is_marked(folder):
            return "ours"
        return "absent" if _is_empty(folder) else "unmarked"


def require_ours(layout: RepoLayout) -> bool:
    """Check that the directory is ours.

    Returns:
        Whether it exists; otherwise there is nothing to read.

    Raises:
        RepositoryError: It exists and is not ours.
    """
    found = folder_ownership(layout)
    if found == "unmarked":
        raise not_ours_error(layout)
    return found == "ours"


def make_state_folder(layout: RepoLayout) -> None:
    """Create the directory with its mark; one that is already ours is left as it is.

    Raises:
        RepositoryError: It exists and is not ours, or cannot be created.
    """
    if require_ours(layout):
        return
    with _writing(layout):
        top = os.open(layout.repo, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with suppress(FileExistsError):
                os.mkdir(FOLDER, 0o700, dir_fd=top)
        finally:
            os.close(top)
    with _opened(layout) as folder:
        if folder is None:
            raise RepositoryError(f"{layout.folder} was removed while it was being created")
        _require_plain(layout, folder)
        if not _is_marked(folder):
            if not _is_empty(folder):
                raise not_ours_error(layout)
            with _writing(layout):
                _write_mark(folder)


def adopt_state_folder(layout: RepoLayout) -> None:
    """Put our mark into a directory that has none, and close it to other users. Its contents were checked before.

    Raises:
        RepositoryError: It is not a plain directory of this user.
    """
    with _opened(layout) as folder:
        if folder is None:
            return
        _require_plain(layout, folder)
        with _writing(layout):
            os.fchmod(folder, 0o700)
            _write_mark(folder)


def not_ours_error(layout: RepoLayout) -> RepositoryError:
    """The error for a directory without our mark."""
    return RepositoryError(
        f"{layout.folder} was not created by rolecall for this user, so nothing in it is read",
        hint="if it came with the repository, delete it; if it is your own, from another machine, user or version, "
        "adopt it with `rolecall threads adopt`",
    )


@contextmanager
def _opened(layout: RepoLayout) -> Iterator[int | None]:
    """A descriptor of the directory itself; `None` when there is none."""
    try:
        folder: int | None = os.open(layout.folder, OPEN_FOLDER)
    except FileNotFoundError:
        folder = None
    except OSError as error:
        raise _unusable(layout.folder, error) from error
    try:
        yield folder
    finally:
        if folder is not None:
            os.close(folder)


def _unusable(folder: Path, error: OSError) -> RepositoryError:
    if folder.is_symlink():
        what = "is a symbolic link"
    elif error.errno in {errno.ENOTDIR, errno.ELOOP}:
        what = "is not a directory"
    else:
        return RepositoryError(f"{folder} cannot be opened: {error.strerror}")
    return RepositoryError(
        f"{folder} {what}, and rolecall only uses a directory that it created there",
        hint=f"remove it: rm {folder}",
    )


def _require_plain(layout: RepoLayout, folder: int) -> None:
    """Check that the directory and what we open in it by name are this user's, and not links."""
    me = os.geteuid()
    owner = os.fstat(folder).st_uid
    if owner != me:
        raise RepositoryError(
            f"{layout.folder} belongs to another user (uid {owner}), and rolecall runs as uid {me}",
            hint="run rolecall as that user, or work in your own clone",
        )
    for name, kind in _KINDS.items():
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            continue
        if stat.S_IFMT(found.st_mode) != kind or found.st_uid != me:
            what = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "not what rolecall creates there"
            raise RepositoryError(
                f"{layout.folder / name} is {what}, so nothing in {FOLDER} is used",
                hint=f"if you did not put it there, delete {layout.folder}",
            )


def _is_empty(folder: int) -> bool:
    """Whether it contains nothing but marks that a killed process was still writing."""
    return all(name.startswith(f"{MARK}.") for name in os.listdir(folder))


def _is_marked(folder: int) -> bool:
    try:
        descriptor = os.open(MARK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return False
    try:
        data = os.read(descriptor, _LARGEST) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    finally:
        os.close(descriptor)
    try:
        mark = json.loads(data)
    except (ValueError, RecursionError):
        return False
    if not isinstance(mark, dict):
        return False
    name, mac = mark.get("id"), mark.get("mac")
    return isinstance(name, str) and isinstance(mac, str) and hmac.compare_digest(_mac(name), _bytes(mac))


def _write_mark(folder: int) -> None:
    name = str(uuid.uuid4())
    text = json.dumps({"id": name, "mac": _mac(name).decode()})
    written = f"{MARK}.{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(written, flags, 0o600, dir_fd=folder), "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(written, MARK, src_dir_fd=folder, dst_dir_fd=folder)


def _mac(name: str) -> bytes:
    return hmac.new(user_secret(), _bytes(name), hashlib.sha256).hexdigest().encode()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


@contextmanager
def _writing(layout: RepoLayout) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RepositoryError(
            f"{layout.folder} is not writable: {error.strerror}", hint="check its permissions and the free space"
        ) from error
