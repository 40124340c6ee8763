"""The git worktree in which a thread works. Owns its branch, its base and its snapshots; the user's checkout,
index, stashes and other refs are read and never written. Bringing the work home is in `apply`."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from core.errors import RepositoryError
from core.layout import RepoLayout
from core.thread_ids import short_id
from tools.generated import copy_generated
from tools.git import PLAIN_DIFF, Git
from tools.listing import fold
from tools.repository import find_top, require_no_conflicts
from tools.staging import new_files, oversized, stage_all, tracked_and_new
from tools.state_folder import made
from tools.submodules import fill_submodules

_LOCK_LOOKS = 20
_LOCK_LOOK_S = 0.1


class GitWorkspace:
    """A worktree on branch `rolecall/<short-id>`.

    The base of the thread is kept in `refs/rolecall/<short-id>/base`, so a diff shows the thread's work only,
    whatever the user had uncommitted when it began.
    """

    def __init__(self, repo: Path, thread_id: str) -> None:
        self._repo = repo
        self._short = short_id(thread_id)
        self._thread_id = thread_id
        self._layout = RepoLayout(repo)
        self._files = self._layout.run(thread_id)
        self._root = self._layout.worktree(thread_id)
        self._user = Git(repo)
        self._git = Git(self._root)
        self._lock = asyncio.Lock()
        self.warnings: tuple[str, ...] = ()
        """What a person should know about this repository, one sentence each."""

    @classmethod
    async def open(cls, repo: Path, thread_id: str) -> "GitWorkspace":
        """Find the repository around a folder; makes nothing yet.

        Raises:
            RepositoryError: There is no git, no repository, no working tree or no commit.
        """
        return cls(await find_top(repo), thread_id)

    @property
    def root(self) -> Path:
        """The worktree."""
        return self._root

    @property
    def repo(self) -> Path:
        """The user's checkout."""
        return self._repo

    @property
    def branch(self) -> str:
        """`rolecall/<short-id>`."""
        return f"rolecall/{self._short}"

    @property
    def run_dir(self) -> Path:
        """Where events, report, diff and whole outputs are kept."""
        return self._files.folder

    async def prepare(self) -> None:
        """Make worktree and branch from the user's HEAD plus uncommitted changes; does nothing when they are there.

        Safe after a kill at any moment: each step is there or is made again.

        Raises:
            RepositoryError: The repository cannot be worked in.
        """
        await made(self._repo)
        await asyncio.to_thread(self._layout.make_run, self._thread_id)
        base = await self._user.resolve(f"{self._base_ref}^{{commit}}")
        if base is None:
            base = await self._capture_base()
            await self._user.run("update-ref", self._base_ref, base)
        if await self._user.resolve(self._branch_ref) is None:
            await self._user.run("update-ref", self._branch_ref, base)
        if not await self._is_ready():
            await self._make_worktree()

    async def commit(self, message: str) -> str | None:
        """Commit all changes; `None` when there are none. Runs no hook."""
        async with self._index():
            head = await self._git.run("rev-parse", self._branch_ref)
            tree = await stage_all(self._git)
            if tree == await self._git.run("rev-parse", f"{head}^{{tree}}"):
                return None
            made = await self._git.commit_tree(tree, message, head)
            await self._git.run("update-ref", "-m", "rolecall", self._branch_ref, made, head)
            return made

    async def tip(self) -> str | None:
        """The last commit the thread made; `None` when it made none."""
        tip = await self._user.run("rev-parse", self._branch_ref)
        return None if tip == await self.base() else tip

    async def diff(self, *, stat: bool = False) -> str:
        """Everything the thread changed since its base, committed or not, new files included."""
        return await self._diff_with("--stat=100") if stat else await self._diff_with()

    async def patch(self) -> str:
        """The same as `git apply` takes it, binary files included."""
        return await self._diff_with("--binary", "--full-index", "--no-renames")

    async def changed_files(self, commit: str | None = None) -> tuple[str, ...]:
        """Paths changed since the base, or by one commit of the thread; relative and sorted."""
        named = ("--name-only", "--no-renames", "-z")
        if commit is None:
            out = await self._diff_with(*named)
        else:
            out = await self._user.run("diff", *PLAIN_DIFF, *named, f"{commit}^", commit, "--")
        return tuple(sorted(name for name in out.split("\0") if name))

    async def has_uncommitted(self) -> bool:
        """Whether the worktree holds changes that are in no commit of the branch."""
        if not await self._is_ready():
            return False
        return await self._tree_now() != await self._git.run("rev-parse", f"{self._branch_ref}^{{tree}}")

    async def snapshot(self) -> str:
        """Git tree of the worktree as it is now, untracked files included; touches no index.

        The tree is kept from garbage collection as long as the thread is.
        """
        async with self._lock:
            tree = await self._tree_now()
            await self._keep(tree)
            return tree

    async def listing(self, *, limit: int = 200) -> str:
        """The tracked and new files, one per line, large folders folded."""
        return fold(await tracked_and_new(self._git), limit)

    async def restore(self, tree: str) -> None:
        """Bring the files of the worktree to a snapshot; ignored files stay. The branch does not move.

        Raises:
            RepositoryError: The snapshot is unknown.
        """
        if await self._git.resolve(f"{tree}^{{tree}}") is None:
            raise RepositoryError(f"the snapshot {tree[:12]} is no longer in the repository")
        async with self._index():
            await self._keep(await stage_all(self._git))
            await self._git.run("read-tree", "--reset", "-u", tree)

    async def discard(self) -> None:
        """Bring the worktree back to the last commit of the branch; a snapshot of what was there is kept."""
        await self.restore(await self._git.run("rev-parse", f"{self._branch_ref}^{{tree}}"))

    async def remove(self) -> None:
        """Remove worktree, branch, base and snapshots; the run folder stays."""
        await self._drop_worktree()
        for ref in (self._branch_ref, self._base_ref, self._snapshots_ref):
            await self._user.try_run("update-ref", "-d", ref)

    async def base(self) -> str:
        """The commit the thread started from.

        Raises:
            RepositoryError: The thread has no base in this repository.
        """
        found = await self._user.resolve(f"{self._base_ref}^{{commit}}")
        if found is None:
            raise RepositoryError(
                f"this repository holds no work of the thread {self._short}",
                hint="`rolecall threads list` shows the threads of this repository",
            )
        return found

    @property
    def _branch_ref(self) -> str:
        return f"refs/heads/{self.branch}"

    @property
    def _base_ref(self) -> str:
        return f"refs/rolecall/{self._short}/base"

    @property
    def _snapshots_ref(self) -> str:
        return f"refs/rolecall/{self._short}/snapshots"

    @property
    def _ready_mark(self) -> Path:
        return self._files.worktree_ready

    async def _capture_base(self) -> str:
        await require_no_conflicts(self._user)
        if await self._user.resolve("refs/heads/rolecall") is not None:
            raise RepositoryError(
                "this repository has a branch named rolecall, which leaves no room for branches rolecall/…",
                hint="give it another name: git branch -m rolecall NAME",
            )
        head = await self._user.run("rev-parse", "HEAD^{commit}")
        left_out = await self._too_large()
        async with self._scratch_index(self._user) as index:
            tree = await stage_all(self._user, index=index, left_out=left_out)
        if tree == await self._user.run("rev-parse", f"{head}^{{tree}}"):
            return head
        return await self._user.commit_tree(tree, "Uncommitted changes when rolecall began", head)

    async def _too_large(self) -> set[str]:
        names = await new_files(self._user)
        large = await asyncio.to_thread(oversized, self._repo, names)
        if large:
            told = ", ".join(sorted(large)[:5]) + (f" and {len(large) - 5} more" if len(large) > 5 else "")
            self.warnings = (*self.warnings, f"new files were too large to be taken into the worktree: {told}")
        return large

    async def _is_ready(self) -> bool:
        if not self._ready_mark.is_file() or not (self._root / ".git").is_file():
            return False
        inside = await self._git.try_run("rev-parse", "--show-toplevel")
        return inside.code == 0 and Path(inside.out.strip()) == self._root

    async def _make_worktree(self) -> None:
        await self._drop_worktree()
        await self._user.run("worktree", "add", "--force", "--quiet", str(self._root), self.branch)
        await copy_generated(self._user, self._repo, self._root)
        self.warnings += await fill_submodules(self._user, self._repo, self._root)
        await asyncio.to_thread(self._ready_mark.touch)

    async def _drop_worktree(self) -> None:
        await asyncio.to_thread(self._ready_mark.unlink, missing_ok=True)
        # Twice forced: a worktree whose making was killed is still locked.
        await self._user.try_run("worktree", "remove", "--force", "--force", str(self._root))
        await asyncio.to_thread(self._layout.remove_worktree, self._thread_id)
        # Its registration survives when the folder was half made or deleted by hand.
        await self._user.try_run("worktree", "unlock", str(self._root))
        await self._user.try_run("worktree", "remove", "--force", "--force", str(self._root))

    async def _diff_with(self, *options: str) -> str:
        base = await self.base()
        tree = await self._tree_now() if await self._is_ready() else self._branch_ref
        return await self._user.run("diff", *PLAIN_DIFF, *options, base, tree, "--")

    async def _tree_now(self) -> str:
        async with self._scratch_index(self._git) as index:
            return await stage_all(self._git, index=index)

    async def _keep(self, tree: str) -> None:
        last = await self._git.resolve(self._snapshots_ref)
        if last is not None and await self._git.resolve(f"{last}^{{tree}}") == tree:
            return
        kept = await self._git.commit_tree(tree, "snapshot", *([last] if last else []))
        await self._git.run("update-ref", self._snapshots_ref, kept)

    @asynccontextmanager
    async def _index(self) -> AsyncIterator[None]:
        """The worktree's own index, for one writer at a time.

        A lock that a killed git left is removed: the thread is driven by one process, so no other can hold it long.
        """
        async with self._lock:
            held = self._root / await self._git.run("rev-parse", "--git-path", "index.lock")
            for _ in range(_LOCK_LOOKS):
                if not held.exists():
                    break
                await asyncio.sleep(_LOCK_LOOK_S)
            await asyncio.to_thread(held.unlink, missing_ok=True)
            yield

    @asynccontextmanager
    async def _scratch_index(self, git: Git) -> AsyncIterator[Path]:
        """A copy of an index, so that staging is quick and the index itself stays as it is."""
        source = git.folder / await git.run("rev-parse", "--git-path", "index")
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="rolecall-index-"))
        try:
            index = folder / "index"
            if source.is_file():
                await asyncio.to_thread(shutil.copy2, source, index)
            yield index
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
