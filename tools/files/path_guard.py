"""Where a tool may read and write: beneath the worktree, never in git's or rolecall's own directories.

A path is walked part by part: each directory is opened relative to the descriptor of the one before, and symlinks are
read by hand, so that what was checked is what is used, whoever renames directories meanwhile. What `openat2` with
`RESOLVE_BENEATH` would do in the kernel is done here for every system, since the rules need the resolved name too.
"""

import os
import stat
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from core.errors import DiskFullError, ToolError
from core.storage.storage_errors import storage_error

_PRIVATE = frozenset({".git", ".rolecall", ".hg", ".svn"})
_FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_WALKED = _FOLDER | getattr(os, "O_PATH", os.O_RDONLY)
"""Directories along the path need not be readable; macOS has no such descriptors."""
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_MAX_PATH = 4096
_MAX_DEPTH = 200
_MAX_LINKS = 40
_ODD = ((stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"), (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"), (stat.S_ISLNK, "a symlink that was just created"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class GuardedPath:
    """A place in the worktree, held by the descriptor of the last directory on the way that exists."""

    name: str
    """Relative to the worktree, symlinks followed, as git writes it; "." for the worktree itself."""
    shown: str
    """The path as it was given, for messages."""
    folder: int
    rest: tuple[str, ...]
    """What follows below the directory: nothing for an existing directory, one part for a file."""

    @property
    def is_folder(self) -> bool:
        """Whether it is an existing directory."""
        return not self.rest

    def exists(self) -> bool:
        """Whether it exists."""
        return self.is_folder or self._status() is not None

    def entries(self) -> list[str]:
        """The names in the directory, sorted; those of directories end with a slash."""
        listed = self._reopened()
        try:
            with os.scandir(listed) as found:
                return sorted(entry.name + "/" * entry.is_dir(follow_symlinks=False) for entry in found)
        finally:
            os.close(listed)

    def read(self, max_bytes: int) -> bytes:
        """The content of a file; nothing else is opened, and never more than `max_bytes` are read.

        Raises:
            ToolError: It is missing, a directory or not a regular file, cannot be read, or is longer.
        """
        if self.is_folder:
            raise ToolError(f"{self.shown} is a directory", hint="use list_files to see what is in it")
        status = self._status()
        if status is None:
            raise ToolError(f"there is no file {self.shown}", hint="use list_files or search_text to find its name")
        self._refuse_odd(status)
        try:
            descriptor = os.open(self.rest[0], _FILE, dir_fd=self.folder)
        except OSError as error:
            raise ToolError(f"{self.shown} cannot be read: {error.strerror}", hint="continue without it") from error
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            self._refuse_odd(status)
            data = file.read(max_bytes + 1) if status.st_size <= max_bytes else b""
        if status.st_size > max_bytes or len(data) > max_bytes:
            size = max(status.st_size, len(data))
            raise ToolError(f"{self.shown} has {size} bytes, too many to read here", hint="use run_command")
        return data

    def write(self, data: bytes) -> None:
        """Write the file in one step, keeping the mode of an existing one; missing directories are created.

        A hard link is not written through: the new file takes this name, and the other names keep the old file.

        Raises:
            ToolError: It is a directory or not a regular file, or the path is not writable.
            DiskFullError: The disk is full.
        """
        if self.is_folder:
            raise ToolError(f"{self.shown} is a directory", hint="give the name of a file")
        status = self._status()
        if status is not None:
            self._refuse_odd(status)
        # Never set-uid, set-gid or sticky, whatever the old file was.
        mode = 0o644 if status is None else status.st_mode & 0o777
        try:
            folder = self._made_folder()
            try:
                _replace(folder, self.rest[-1], data, mode)
            finally:
                os.close(folder)
        except OSError as error:
            if isinstance(full := storage_error(error), DiskFullError):
                raise full from error
            raise ToolError(f"{self.shown} cannot be written: {error.strerror}", hint="choose another path") from error

    def _status(self) -> os.stat_result | None:
        if len(self.rest) != 1:
            return None
        try:
            return os.stat(self.rest[0], dir_fd=self.folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unwalkable(self.shown, error) from error

    def _refuse_odd(self, status: os.stat_result) -> None:
        kind = next((name for test, name in _ODD if test(status.st_mode)), "")
        if kind or not stat.S_ISREG(status.st_mode):
            raise ToolError(f"{self.shown} is {kind or 'not a regular file'}", hint="only regular files can be used")

    def _reopened(self) -> int:
        return os.open(".", _FOLDER | os.O_RDONLY, dir_fd=self.folder)

    def _made_folder(self) -> int:
        """A descriptor of the directory the file is in, which is created if it is missing."""
        folder = self._reopened()
        for part in self.rest[:-1]:
            try:
                with suppress(FileExistsError):
                    os.mkdir(part, 0o755, dir_fd=folder)
                deeper = os.open(part, _FOLDER | os.O_RDONLY, dir_fd=folder)
            finally:
                os.close(folder)
            folder = deeper
        return folder


@contextmanager
def open_beneath(root: Path, path: str) -> Iterator[GuardedPath]:
    """Resolve the path a model gave; blocking. The result is valid inside the block.

    Args:
        root: The worktree.
        path: Relative to the worktree, or absolute inside it.

    Raises:
        ToolError: It is outside the worktree, in a directory that tools never touch, or cannot be resolved.
    """
    if "\0" in path:
        raise ToolError("the path contains a null byte", hint="give the path as plain text")
    if len(path) > _MAX_PATH:
        raise ToolError(f"the path has {len(path)} characters, which is too long", hint="give a shorter one")
    if not _is_encodable(path):
        raise ToolError("the path contains characters not allowed in file names", hint="give the path as plain text")
    walk = _Walk(root, path)
    try:
        yield walk.go()
    finally:
        walk.close()


def existing_files(root: Path, names: Iterable[str]) -> list[str]:
    """The relative names that exist and are not reached through a symlink; blocking, fast when they are sorted.

    A tracked directory may have become a symlink, which git may have followed.
    """
    kept: list[str] = []
    parts: list[str] = []
    folders = [os.open(root.resolve(), _WALKED)]
    try:
        for name in names:
            *above, last = name.split("/")
            while parts != above[: len(parts)]:
                parts.pop()
                os.close(folders.pop())
            try:
                for part in above[len(parts) :]:
                    folders.append(os.open(part, _WALKED, dir_fd=folders[-1]))
                    parts.append(part)
                os.stat(last, dir_fd=folders[-1], follow_symlinks=False)
            except OSError:
                continue
            kept.append(name)
    finally:
        for descriptor in folders:
            os.close(descriptor)
    return kept


class _Walk:
    """Walks from the worktree down to one path; holds the descriptors of all directories on the way."""

    def __init__(self, root: Path, path: str) -> None:
        self._path = path
        self._tops = tuple(dict.fromkeys((str(root), str(root.resolve()))))
        self._folders = [os.open(root.resolve(), _WALKED)]
        self._names: list[str] = []
        self._rest: list[str] = []
        self._links = 0

    def go(self) -> GuardedPath:
        pending = deque(self._parts(self._path.strip() or "."))
        while pending:
            part = pending.popleft()
            if part in {"", "."}:
                continue
            if part == "..":
                self._up()
                continue
            self._refuse(part)
            if self._rest:
                self._rest.append(part)
                continue
            try:
                link = self._enter(part)
            except OSError as error:
                raise _unwalkable(self._path, error) from error
            if link is not None:
                pending.extendleft(reversed(self._parts(link)))
        name = "/".join((*self._names, *self._rest)) or "."
        return GuardedPath(name, self._path, self._folders[-1], tuple(self._rest))

    def close(self) -> None:
        for descriptor in self._folders:
            os.close(descriptor)

    def _parts(self, text: str) -> list[str]:
        if not text.startswith("/"):
            return text.split("/")
        for top in self._tops:
            if text == top or text.startswith(f"{top}/"):
                while len(self._folders) > 1:
                    self._up()
                return text[len(top) :].split("/")
        raise _outside(self._path)

    def _up(self) -> None:
        if self._rest:
            self._rest.pop()
            return
        if not self._names:
            raise _outside(self._path)
        self._names.pop()
        os.close(self._folders.pop())

    def _refuse(self, part: str) -> None:
        if is_private(part):
            raise ToolError(
                f"{self._path} belongs to git or rolecall and is not accessible to tools",
                hint="use git_diff to see changes",
            )
        if len(self._names) + len(self._rest) > _MAX_DEPTH:
            raise ToolError(f"{self._path} is nested too deeply", hint=f"at most {_MAX_DEPTH} directories are followed")

    def _enter(self, part: str) -> str | None:
        """Enter a directory, or note a name that is not one; for a symlink, return its target instead."""
        top = self._folders[-1]
        try:
            self._folders.append(os.open(part, _WALKED, dir_fd=top))
            self._names.append(part)
            return None
        except FileNotFoundError:
            self._rest.append(part)
            return None
        except OSError as error:
            status = os.stat(part, dir_fd=top, follow_symlinks=False)
            if not stat.S_ISLNK(status.st_mode):
                if stat.S_ISDIR(status.st_mode):
                    raise error from None
                self._rest.append(part)
                return None
        self._links += 1
        if self._links > _MAX_LINKS:
            raise ToolError(
                f"{self._path} cannot be resolved: too many symlinks", hint="list the directory to see them"
            )
        return os.readlink(part, dir_fd=top)


def _is_encodable(path: str) -> bool:
    try:
        return bool(os.fsencode(path)) or not path
    except UnicodeEncodeError:
        return False


def is_private(part: str) -> bool:
    """Whether a name is one of the directories that tools never touch."""
    # Some file systems ignore case, and characters of no width, when they compare names.
    return "".join(char for char in part if char.isprintable()).casefold() in _PRIVATE


def _outside(path: str) -> ToolError:
    return ToolError(
        f"{path} is outside the worktree", hint="give a path relative to the repository, as list_files shows it"
    )


def _unwalkable(path: str, error: OSError) -> ToolError:
    return ToolError(f"{path} cannot be resolved: {error.strerror}", hint="list the directory to see what is there")


def _replace(folder: int, name: str, data: bytes, mode: int) -> None:
    """Write a new file in the same directory and rename it to this name."""
    draft = f".rolecall-{os.urandom(8).hex()}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600,
                         dir_fd=folder)  # fmt: skip
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            os.fchmod(descriptor, mode)
        os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        with suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=folder)
        raise
