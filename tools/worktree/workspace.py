"""The git worktree in which a thread works. Owns its branch, its base and its snapshots; the user's checkout,
index, stashes and other refs are read and never written. Applying the work is in `apply`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from core.context import Changes
from core.errors import RepositoryError
from core.storage.layout import RepoLayout, RunFiles
from core.storage.thread_ids import short_id
from tools.files.file_tree import format_tree
from tools.git.command import PLAIN_DIFF, Git, index_digest
from tools.git.private_git_dir import sweep_git_dirs
from tools.git.repository import find_top
from tools.git.state_folder import ensure_layout
from tools.worktree.build_artifacts import copy_generated
from tools.worktree.checkout import Checkout, remove_worktree, restore_link
from tools.worktree.staging import StagingResult, scratch_index, stage, tracked_and_new
from tools.worktree.staging_rules import (
    FILTERED,
    SECRET_NAME,
    SHOW,
    StagingRules,
    base_warnings,
    exclusion_reasons,
    file_times,
    name_some,
)
from tools.worktree.submodules import fill_submodules, submodule_paths
from tools.worktree.thread_refs import ThreadRefs

_STAT = ("--stat=100",)
_LOCK_LOOKS = 20
_LOCK_LOOK_S = 0.1


class GitWorkspace:
    """A worktree on branch `rolecall/<short-id>`.

    The base of the thread is stored in `refs/rolecall/<short-id>/base`, so a diff shows only the thread's work,
    whatever the user had uncommitted when it started.
    """

    def __init__(
        self, repo: Path, thread_id: str, rules: StagingRules | None = None, *, git: Git | None = None
    ) -> None:
        """Create nothing yet.

        Args:
            repo: Top level of the user's checkout.
            thread_id: The thread.
            rules: What is left out of commits; the usual secret-looking names when `None`.
            git: For the checkout, if there is one already.
        """
        self.repo = repo
        """The user's checkout."""
        self._thread_id = thread_id
        self._layout = RepoLayout(repo)
        self._files = self._layout.run(thread_id)
        self.run_dir = self._files.folder
        """Where events, report, diff and full outputs are stored."""
        self.root = self._layout.worktree(thread_id)
        """The worktree."""
        self.branch = f"rolecall/{short_id(thread_id)}"
        self._user = git or Git(repo)
        self._git = Git(self.root)
        self._rules = rules or StagingRules()
        self._lock = asyncio.Lock()
        self._notices: dict[str, bool] = {}
        self._made = False
        self._refs = ThreadRefs(self._user, short_id(thread_id))
        self._diffs: dict[tuple[str, ...], tuple[str, str, str]] = {}
        """The last diff with some options: from which commit, to which tree, and its text."""
        self._submodules: tuple[str, tuple[str, ...]] | None = None
        self.warnings: tuple[str, ...] = ()
        """Notes for the user about this repository, one sentence each."""

    @classmethod
    async def open(cls, repo: Path, thread_id: str, rules: StagingRules | None = None) -> "GitWorkspace":
        """Find the repository around a directory; creates nothing yet.

        Args:
            repo: The directory.
            thread_id: The thread.
            rules: What is left out of commits; the usual secret-looking names when `None`.

        Raises:
            RepositoryError: There is no git, no repository, no working tree or no commit.
        """
        return cls(await find_top(repo), thread_id, rules)

    async def make_run(self) -> RunFiles:
        """Create the run directory, and `.rolecall/` around it if missing.

        Raises:
            RepositoryError: `.rolecall/` is not ours.
        """
        if not self._made:
            await ensure_layout(self.repo)
            self._made = True
        return await asyncio.to_thread(self._layout.make_run, self._thread_id)

    async def prepare(self, at: str | None = None) -> None:
        """Create worktree and branch from the user's HEAD plus uncommitted changes; does nothing when they exist.

        Safe after a kill at any moment: each step is done or is repeated.

        Args:
            at: A commit to create them from instead.

        Raises:
            RepositoryError: The repository cannot be used.
        """
        await self.make_run()
        await asyncio.to_thread(sweep_git_dirs)
        known = self._refs
        refs = await known.all()
        base, orders = refs.get(known.base), []
        if base is None:
            base = at or await self._capture_base(refs)
            orders.append(f"update {known.base} {base}\n")
        tip = refs.get(known.branch) or refs.get(known.tip, base)
        if known.branch not in refs:
            orders.append(f"update {known.branch} {tip}\n")
            if tip != base:
                self.warnings += (f"the branch {self.branch} was deleted; it was recreated with all its commits",)
        if orders:
            await self._user.run("update-ref", "--stdin", stdin="".join(orders))
        if await self._is_ready():
            await Checkout(self._git).hide(self._rules.secret_files)
        else:
            await self._make_worktree()

    async def commit(self, message: str) -> str | None:
        """Commit all changes; `None` when there are none. Runs no hook."""
        async with self._index() as index:
            head, before = await self._refs.head()
            staged = await self._stage(head, before, index)
            if staged.tree == before:
                return None
            made = await self._commit_tree(staged.tree, message, head)
            orders = f"update {self._refs.branch} {made} {head}\nupdate {self._refs.tip} {made}\n"
            await self._user.run("update-ref", "-m", "rolecall", "--stdin", stdin=orders)
            return made

    def notices(self) -> tuple[str, ...]:
        """What was left out of commits and snapshots since the last call, one sentence each."""
        fresh = tuple(notice for notice, given in self._notices.items() if not given)
        self._notices |= dict.fromkeys(fresh, True)
        return fresh

    async def tip(self) -> str | None:
        """The last commit the thread made; `None` when it made none."""
        tip, _ = await self._refs.head()
        return None if tip == await self.base() else tip

    async def diff(self, *, stat: bool = False) -> str:
        """Everything the thread changed since its base, committed or not, new files included."""
        return await self._diff_with(*_STAT) if stat else await self._diff_with()

    async def patch(self) -> str:
        """The same as `git apply` accepts it, binary files included."""
        return await self._diff_with("--binary", "--full-index", "--no-renames")

    async def changed_files(self, commit: str | None = None) -> tuple[str, ...]:
        """Paths changed since the base, or by one commit of the thread; relative and sorted."""
        named = ("--name-only", "--no-renames", "-z")
        if commit is None:
            out = await self._diff_with(*named)
        else:
            git = await self._user.isolated()
            out = await git.run("diff", *PLAIN_DIFF, *named, f"{commit}^", commit, "--")
        return tuple(sorted(name for name in out.split("\0") if name))

    async def changes(self) -> Changes:
        """Everything the thread changed since its base, as it is at one moment."""
        base, tree = await self.base(), await self._tree()
        uncommitted = tree != (await self._refs.head())[1]
        return Changes(await self._between(base, tree), await self._between(base, tree, *_STAT), uncommitted)

    async def has_uncommitted(self) -> bool:
        """Whether the worktree contains changes that are not in any commit of the branch."""
        return await self._tree() != (await self._refs.head())[1]

    async def snapshot(self) -> str:
        """Git tree of the worktree as it is now, untracked files included; touches no index.

        The tree is kept from garbage collection as long as the thread is.
        """
        async with self._lock:
            tree = (await self._staged_now()).tree
            await self._keep(tree)
            return tree

    async def state(self) -> str:
        """Identifies the current files of the worktree; touches no index, stores nothing.

        Files that git does not store count by their time and size, ignored directories by their own.
        """
        staged = await self._staged_now()
        ignored = ("ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z")
        others = [*staged.left_out, *await (await self._git.isolated()).names(*ignored)]
        return f"{staged.tree} {await asyncio.to_thread(file_times, self.root, others)}"

    async def listing(self, *, limit: int = 200) -> str:
        """The tracked and new files, one per line, large directories collapsed."""
        names = await self.files()
        return format_tree([name for name in names if not self._rules.secret_files.hides(name)], limit)

    async def files(self) -> list[str]:
        """The tracked and new files, sorted."""
        return await tracked_and_new(self._git)

    async def submodules(self) -> tuple[str, ...]:
        """Paths of the submodules in the index."""
        digest = await asyncio.to_thread(index_digest, (await self._git.place()).index)
        if self._submodules is None or self._submodules[0] != digest:
            self._submodules = digest, await submodule_paths(self._git)
        return self._submodules[1]

    async def restore(self, tree: str) -> None:
        """Restore the files of the worktree to a snapshot; ignored files stay. The branch does not move.

        Raises:
            RepositoryError: The snapshot is unknown.
        """
        if await self._user.resolve(f"{tree}^{{tree}}") is None:
            raise RepositoryError(f"the snapshot {tree[:12]} is no longer in the repository")
        async with self._index() as index:
            await self._keep((await self._stage(*await self._refs.head(), index)).tree)
            await Checkout(self._git).fill(tree, self._rules.secret_files)

    async def discard(self) -> None:
        """Reset the worktree to the last commit of the branch; a snapshot of its files is kept."""
        await self.restore((await self._refs.head())[1])

    async def remove(self) -> None:
        """Remove worktree, branch, base and snapshots; the run directory stays."""
        await self._drop_worktree()
        known = (self._refs.branch, self._refs.base, self._refs.tip, self._refs.snapshots)
        orders = "".join(f"delete {ref}\n" for ref in await self._refs.all() if ref in known)
        if orders:
            await self._user.run("update-ref", "--stdin", stdin=orders)

    async def base(self) -> str:
        """The commit the thread started from.

        Raises:
            RepositoryError: The thread has no base in this repository.
        """
        return await self._refs.base_commit()

    async def _capture_base(self, refs: dict[str, str]) -> str:
        if "refs/heads/rolecall" in refs:
            raise RepositoryError(
                "this repository has a branch named rolecall, which prevents branches rolecall/…",
                hint="rename it: git branch -m rolecall NAME",
            )
        head, before = (await self._user.run("rev-parse", "HEAD^{commit}", "HEAD^{tree}")).split()
        git = await self._user.isolated()
        async with scratch_index((await self._user.place()).index) as index:
            staged = await stage(git, head, self._rules.for_base(), index=index, tree=before, keep_links=True)
        self.warnings += base_warnings(staged.left_out)
        if staged.tree == before:
            self._refs.note(head, before)
            return head
        return await self._commit_tree(staged.tree, "Uncommitted changes when rolecall started", head)

    async def _commit_tree(self, tree: str, message: str, *parents: str) -> str:
        made = await self._user.commit_tree(tree, message, *parents)
        self._refs.note(made, tree)
        return made

    async def _stage(self, head: str, before: str, index: Path) -> StagingResult:
        staged = await stage(await self._git.isolated(), head, self._rules, index=index, tree=before)
        for notice in exclusion_reasons(staged.left_out):
            self._notices.setdefault(notice, False)
        return staged

    async def _is_ready(self) -> bool:
        """Whether the worktree exists; a `.git` file that a command removed or replaced is restored."""
        if not await asyncio.to_thread(self._is_there):
            return False
        with suppress(RepositoryError):
            # Asked anew each time: the repository may have forgotten the worktree meanwhile.
            await asyncio.to_thread(restore_link, await Git(self.root).place())
            return True
        return False

    def _is_there(self) -> bool:
        # A link in its place leads to files that are not the thread's.
        expected = self.repo.resolve() / self.root.relative_to(self.repo)
        return self._files.worktree_ready.is_file() and self.root.is_dir() and self.root.resolve() == expected

    async def _make_worktree(self) -> None:
        await self._drop_worktree()
        await self._user.run("worktree", "add", "--no-checkout", "--force", "--quiet", str(self.root), self.branch)
        self._git = Git(self.root)
        checkout = Checkout(self._git)
        _, tree = await self._refs.head()
        filled = await checkout.fill(tree, self._rules.secret_files)
        if filled.hidden:
            self.warnings += (
                f"files that {SECRET_NAME} are kept out of the worktree; {SHOW}: {name_some(filled.hidden)}",
            )
        filtered = await checkout.filtered(filled.names)
        if filtered:
            self.warnings += (
                f"files that {FILTERED}; the worktree contains them as git stores them: {name_some(filtered)}",
            )
        rules = self._rules.for_base()
        secret = await copy_generated(self._user, self.root, filled.names, rules)
        if secret:
            self.warnings += (f"generated files that may contain secrets were not copied; {SHOW}: {name_some(secret)}",)
        self.warnings += await fill_submodules(self.repo, self.root, filled.links, rules)
        await asyncio.to_thread(self._files.worktree_ready.touch)

    async def _drop_worktree(self) -> None:
        await asyncio.to_thread(self._files.worktree_ready.unlink, missing_ok=True)
        common = (await self._user.place()).common_dir
        await asyncio.to_thread(remove_worktree, common, self._layout, self._thread_id)

    async def _diff_with(self, *options: str) -> str:
        return await self._between(await self.base(), await self._tree(), *options)

    async def _between(self, base: str, tree: str, *options: str) -> str:
        known = self._diffs.get(options)
        if known is None or known[:2] != (base, tree):
            git = await self._user.isolated()
            known = base, tree, await git.run("diff", *PLAIN_DIFF, *options, base, tree, "--")
            self._diffs[options] = known
        return known[2]

    async def _tree(self) -> str:
        """The tree of the worktree, or of the last commit if it is gone."""
        return (await self._staged_now()).tree if await self._is_ready() else (await self._refs.head())[1]

    async def _staged_now(self) -> StagingResult:
        head, before = await self._refs.head()
        async with scratch_index((await self._git.place()).index) as index:
            return await self._stage(head, before, index)

    async def _keep(self, tree: str) -> None:
        last = await self._refs.last_snapshot()
        if last is not None and last[1] == tree:
            return
        kept = await self._commit_tree(tree, "snapshot", *([last[0]] if last else []))
        await self._user.run("update-ref", self._refs.snapshots, kept)

    @asynccontextmanager
    async def _index(self) -> AsyncIterator[Path]:
        """The worktree's own index, for one writer at a time.

        A lock left by a killed git is removed: one process runs the thread, so no other can hold it for long.
        """
        async with self._lock:
            place = await self._git.place()
            held = place.git_dir / "index.lock"
            for _ in range(_LOCK_LOOKS):
                if not held.exists():
                    break
                await asyncio.sleep(_LOCK_LOOK_S)
            await asyncio.to_thread(held.unlink, missing_ok=True)
            await asyncio.to_thread(restore_link, place)
            yield place.index
