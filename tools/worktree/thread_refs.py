"""The refs of a thread: its branch, its base, its last commit again, and its snapshots. Owns how they are named
and read; the code that moves them writes the commands."""

import asyncio

from core.errors import RepositoryError
from tools.git.command import Git
from tools.git.location import loose_ref


class ThreadRefs:
    """The refs of one thread in the user's repository.

    Refs are read each time, because others may move them; a commit's tree never changes and is read once.
    """

    def __init__(self, git: Git, short: str) -> None:
        self._git = git
        self._short = short
        self._trees: dict[str, str] = {}
        self.branch = f"refs/heads/rolecall/{short}"
        self.base = f"refs/rolecall/{short}/base"
        self.tip = f"refs/rolecall/{short}/tip"
        """The last commit again: deleting the branch loses no work of a thread that is not done."""
        self.snapshots = f"refs/rolecall/{short}/snapshots"

    async def all(self) -> dict[str, str]:
        """Objects of this thread's refs, and of the branch that would block them, if they exist."""
        out = await self._git.run(
            "for-each-ref", "--format=%(objectname) %(refname)", f"refs/rolecall/{self._short}", self.branch,
            "refs/heads/rolecall",
        )  # fmt: skip
        # Not `splitlines`: the name of a branch of somebody's may hold what Unicode takes for the end of a line.
        return {ref: commit for commit, _, ref in (line.partition(" ") for line in out.split("\n") if line)}

    async def head(self) -> tuple[str, str]:
        """The last commit of the branch and its tree.

        Raises:
            RepositoryError: The branch is gone.
        """
        found = await self._read(self.branch)
        if found is None:  # git says why
            found = _pair(await self._git.run("rev-parse", *_questions(self.branch)))
        return found

    async def base_commit(self) -> str:
        """The commit the thread started from.

        Raises:
            RepositoryError: The thread has no base in this repository.
        """
        found = await self._read(self.base)
        if found is None:
            raise RepositoryError(
                f"this repository contains no work of the thread {self._short}",
                hint="`rolecall threads list` shows the threads of this repository",
            )
        return found[0]

    async def last_snapshot(self) -> tuple[str, str] | None:
        """The commit that stores the last snapshot, and its tree."""
        return await self._read(self.snapshots)

    def note(self, commit: str, tree: str) -> None:
        """Remember the tree of a commit that was just created or read."""
        self._trees[commit] = tree

    async def _read(self, ref: str) -> tuple[str, str] | None:
        place = await self._git.place()
        commit = await asyncio.to_thread(loose_ref, place.common_dir, ref)
        if commit in self._trees:
            return commit, self._trees[commit]
        found = await self._git.try_run("rev-parse", *_questions(ref))
        if found.code != 0:
            return None
        self.note(*_pair(found.out))
        return _pair(found.out)


def _questions(ref: str) -> tuple[str, str]:
    return f"{ref}^{{commit}}", f"{ref}^{{tree}}"


def _pair(out: str) -> tuple[str, str]:
    commit, tree = out.split()
    return commit, tree
