"""Reads files of an untrusted repository: no links, no pipes, nothing large. Owns the only way to open them."""

import os
import stat
from pathlib import Path, PurePosixPath


def read_untrusted(root: Path, name: str, *, max_bytes: int) -> bytes | None:
    """The bytes of a regular file below a directory, reached through no link; blocking.

    Args:
        root: The directory.
        name: Relative to it, posix.
        max_bytes: A larger file is not read.

    Returns:
        `None` for everything else: missing files, links, pipes, devices, paths outside.
    """
    parts = PurePosixPath(name).parts
    if not parts or "\0" in name or any(part in {"/", "//", ".."} for part in parts):
        return None
    try:
        descriptor = _opened(root, parts)
    except (OSError, UnicodeEncodeError):
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > max_bytes:
            return None
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(max_bytes + 1)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return data if len(data) <= max_bytes else None


def _opened(root: Path, parts: tuple[str, ...]) -> int:
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            os.close(folder)
            folder = inner
        # Without waiting, for a pipe has no writer and would hold us for ever.
        return os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    finally:
        os.close(folder)
