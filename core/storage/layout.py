"""Where rolecall stores what belongs to a repository: the paths in `.rolecall/`, and their removal.

Owns names and removal. Whether the directory is ours at all is verified in `ownership`.
"""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from core.errors import RepositoryError
from core.storage.thread_ids import require_thread_id, short_id

FOLDER = ".rolecall"
DATABASE = "rolecall.db"
DATABASE_FILES = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}-journal")
"""The database and the files SQLite stores beside it."""
WORKTREES = "worktrees"
RUNS = "runs"
STUDIO = "studio"
OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""Flags that open a directory itself, never the target of a link in its place."""


@dataclass(frozen=True, slots=True)
class RunFiles:
    """The files in a thread's run directory."""

    folder: Path

    @property
    def events(self) -> Path:
        """Every event, one JSON object per line."""
        return self.folder / "events.jsonl"

    @property
    def debug_log(self) -> Path:
        """What rolecall and its libraries logged."""
        return self.folder / "debug.log"

    @property
    def report(self) -> Path:
        """The report of the last run."""
        return self.folder / "report.md"

    @property
    def diff(self) -> Path:
        """The thread's changes as a patch."""
        return self.folder / "diff.patch"

    @property
    def log(self) -> Path:
        """What a run in the background wrote to its terminal."""
        return self.folder / "output.log"

    @property
    def worktree_ready(self) -> Path:
        """Exists once the worktree is complete."""
        return self.folder / "worktree-ready"


@dataclass(frozen=True, slots=True)
class RepoLayout:
    """rolecall's paths in one repository. Creates none of them."""

    repo: Path
    """Top level of the user's checkout."""

    @property
    def folder(self) -> Path:
        """`.rolecall/`."""
        return self.repo / FOLDER

    @property
    def database(self) -> Path:
        """The database with everything structured."""
        return self.folder / DATABASE

    @property
    def studio(self) -> Path:
        """The development server's directory."""
        return self.folder / STUDIO

    def run(self, thread_id: str) -> RunFiles:
        """The files of a thread.

        Raises:
            ThreadError: The id is not a UUID.
        """
        return RunFiles(self.folder / RUNS / require_thread_id(thread_id))

    def worktree(self, thread_id: str) -> Path:
        """The worktree of a thread.

        Raises:
            ThreadError: The id is not a UUID.
        """
        return self.folder / WORKTREES / short_id(thread_id)

    def make_run(self, thread_id: str) -> RunFiles:
        """Create a thread's run directory in `.rolecall/`, which must exist.

        Raises:
            ThreadError: The id is not a UUID.
            RepositoryError: A link or a file is where the directory should be.
            OSError: It cannot be created.
        """
        files = self.run(thread_id)
        with self._inside(RUNS, files.folder.name, make=True):
            return files

    def remove_run(self, thread_id: str) -> None:
        """Remove the files of a thread, if there are any.

        Raises:
            ThreadError: The id is not a UUID.
            RepositoryError: A link is where one of our directories should be; nothing was removed.
            OSError: Something in it cannot be removed.
        """
        self._remove(RUNS, require_thread_id(thread_id))

    def remove_worktree(self, thread_id: str) -> None:
        """Remove a thread's worktree, if there is one; git is told elsewhere. Raises as `remove_run`."""
        self._remove(WORKTREES, short_id(thread_id))

    def _remove(self, kind: str, name: str) -> None:
        with suppress(FileNotFoundError), self._inside(kind) as parent:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode):
                # From a descriptor on: no link that is put in the way meanwhile leads out of it.
                shutil.rmtree(name, dir_fd=parent)
            else:
                os.unlink(name, dir_fd=parent)

    @contextmanager
    def _inside(self, *names: str, make: bool = False) -> Iterator[int]:
        """A descriptor of one of our folders, reached without following a link, and made where that is asked for."""
        held: list[int] = []
        try:
            held.append(os.open(self.repo, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            held.append(self._open(FOLDER, held[-1]))
            for name in names:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(name, 0o700, dir_fd=held[-1])
                held.append(self._open(name, held[-1]))
            yield held[-1]
        finally:
            for descriptor in held:
                os.close(descriptor)

    def _open(self, name: str, parent: int) -> int:
        try:
            return os.open(name, OPEN_FOLDER, dir_fd=parent)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise RepositoryError(
                f"{name} in {self.folder} was not created by rolecall, so it is left alone",
                hint=f"check {self.folder} and remove what is not yours",
            ) from error
