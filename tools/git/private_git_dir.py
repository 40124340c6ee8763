"""The git directories of `IsolatedGit`: created in the temporary directory, removed with their owner or swept later.

An owner holds a lock on its directory for as long as it lives; a kill cannot leave the lock behind.
"""

import asyncio
import fcntl
import os
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tools.git.config import GitConfig
from tools.git.location import GitLocation

_PREFIX = "rolecall-git-"
_YOUNG_S = 60.0
"""Seconds in which a directory may be without its lock, while it is being created."""


@dataclass(frozen=True, slots=True)
class PrivateGitDir:
    """One of them."""

    path: Path
    lock: int
    """The descriptor that holds the lock."""

    def remove(self) -> None:
        """Remove it; outside the event loop if one is running, because owners may be collected at any time."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._remove()
        else:
            # Not from here: this may run in the middle of the executor's own work, whose lock is not free then.
            loop.call_soon(lambda: loop.run_in_executor(None, self._remove))

    def _remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        with suppress(OSError):
            os.close(self.lock)


def make_git_dir(place: GitLocation, config: GitConfig) -> PrivateGitDir:
    """Create one that shares only what decides how files are read with the repository; blocking."""
    own = Path(tempfile.mkdtemp(prefix=_PREFIX))
    lock = os.open(own, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(lock, fcntl.LOCK_EX)
    for folder in ("refs", "objects", "info"):
        (own / folder).mkdir()
    (own / "HEAD").write_text("ref: refs/heads/none\n", encoding="utf-8")
    text = config.own_config(place.work_tree)
    (own / "config").write_text(text, encoding="utf-8", errors="surrogateescape")
    for name in ("info/exclude", "info/attributes", "shallow"):
        if (place.common_dir / name).is_file():
            shutil.copyfile(place.common_dir / name, own / name)
    # The other half of an index that the user has split.
    for shared in place.git_dir.glob("sharedindex.*"):
        if shared.is_file():
            shutil.copyfile(shared, own / shared.name)
    return PrivateGitDir(own, lock)


def sweep_git_dirs() -> None:
    """Remove the directories of this user whose owners were killed; blocking."""
    with os.scandir(tempfile.gettempdir()) as entries:
        found = [entry.path for entry in entries if entry.name.startswith(_PREFIX)]
    for path in found:
        with suppress(OSError):
            _sweep(path)


def _sweep(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if status.st_uid == os.geteuid() and time.time() - status.st_mtime > _YOUNG_S:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path)
    finally:
        os.close(descriptor)
