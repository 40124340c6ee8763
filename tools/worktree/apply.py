"""Applies a thread's work to the user's checkout: merged or applied if that cannot lose an edit, otherwise the
commands that do it are named. The only module that writes to the checkout, and only when asked."""

import re
import shlex
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from core.errors import RepositoryError
from tools.git.command import PLAIN_DIFF, Git
from tools.worktree.staging import attributes_of, scratch_index
from tools.worktree.staging_rules import StagingRules, name_some
from tools.worktree.workspace import GitWorkspace

_UNDER_WAY = {
    "MERGE_HEAD": "merge", "CHERRY_PICK_HEAD": "cherry-pick", "REVERT_HEAD": "revert", "rebase-merge": "rebase",
    "rebase-apply": "rebase",
}  # fmt: skip


_BESIDE_ERROR = re.compile(r"^error: (?!patch failed: )(.+): (?:patch does not apply|[^:]+)$", re.MULTILINE)
"""What `git apply --check` says of one file."""

ApplyMode = Literal["merge", "squash", "files"]
"""A merge commit, one commit without the thread's own, or changed files and no commit at all."""


class ApplyResult(BaseModel):
    """What became of the work."""

    model_config = ConfigDict(frozen=True)

    how: Literal["merged", "squashed", "patched", "nothing", "manual"]
    message: str
    commands: tuple[str, ...] = ()
    """What the user can run instead, when it was not done here."""
    conflicts: tuple[str, ...] = ()
    """All conflicting files."""

    @property
    def applied(self) -> bool:
        """Whether the checkout contains the work now."""
        return self.how != "manual"


async def has_work(repo: Path, thread_id: str) -> bool:
    """Whether a thread changed something that the user's branch does not contain yet.

    Raises:
        RepositoryError: The repository contains no work of this thread.
    """
    workspace = await GitWorkspace.open(repo, thread_id)
    return not await _nothing(Git(workspace.repo), *await _span(workspace))


async def apply_branch(
    repo: Path,
    thread_id: str,
    *,
    title: str = "",
    running: bool = False,
    rules: StagingRules | None = None,
    way: ApplyMode = "merge",
) -> ApplyResult:
    """Merge a thread's branch into the user's current branch, or apply its patch to the files.

    A branch that started at a commit of the current branch is merged. If the user had uncommitted changes when
    the thread started, or is on another branch now, the patch is applied to the files and not committed. Nothing is
    started that could be left half done.

    Args:
        repo: The user's checkout.
        thread_id: The thread.
        title: Title of the merge; that of the last commit when empty.
        running: A process is running the thread.
        rules: What is left out of commits, as for the thread.
        way: How to apply the work; if no commit is safe, the files are changed anyway.

    Raises:
        RepositoryError: The repository contains no work of this thread.
    """
    workspace = await GitWorkspace.open(repo, thread_id, rules)
    outcome = await _apply(workspace, title, way)
    if not await workspace.has_uncommitted():
        return outcome
    remedy = "it is still running, apply it again when it has finished" if running else "resume it to finish them"
    rest = f"; uncommitted changes of the thread were left out: {remedy}"
    return outcome.model_copy(update={"message": f"{outcome.message}{rest}"})


async def _span(workspace: GitWorkspace) -> tuple[str, str]:
    """The commit the thread started from, and its last one."""
    base = await workspace.base()
    tip = await Git(workspace.repo).resolve(f"refs/heads/{workspace.branch}^{{commit}}")
    if tip is None:
        raise RepositoryError(f"the branch {workspace.branch} no longer exists", hint=f"its base still exists: {base}")
    return base, tip


async def _apply(workspace: GitWorkspace, title: str, way: ApplyMode) -> ApplyResult:
    (base, tip), git = await _span(workspace), Git(workspace.repo)
    if nothing := await _nothing(git, base, tip):
        return ApplyResult(how="nothing", message=f"{workspace.branch} {nothing}")
    if way == "files":
        return await _patch(git, workspace.branch, (base, tip), "as requested")
    if await _is_ancestor(git, base, "HEAD"):
        return await _merge(git, workspace.branch, (base, tip), title, squash=way == "squash")
    why = "because the thread started with uncommitted changes of yours, or on another branch"
    return await _patch(git, workspace.branch, (base, tip), why)


async def _nothing(git: Git, base: str, tip: str) -> str:
    """Why there is nothing to apply; empty when there is something."""
    if tip == base:
        return "changes nothing"
    if await _is_ancestor(git, tip, "HEAD"):
        return "is already merged"
    head, tree = (await git.run("rev-parse", "HEAD^{commit}", "HEAD^{tree}")).split()
    tried = await _tried(git, head, tip)
    return "contains nothing that your branch does not already have" if (tried.code, tried.tree) == (0, tree) else ""


async def _merge(git: Git, branch: str, span: tuple[str, str], title: str, *, squash: bool) -> ApplyResult:
    base, tip = span
    command = f"git merge --squash {branch} && git commit" if squash else f"git merge --no-ff {branch}"
    obstacle, remedy, files = await _obstacle(git, base, tip)
    if obstacle:
        return _manual(f"{branch} was not merged: {obstacle}", *remedy, command, conflicts=files)
    subject = title or (await git.run("log", "-1", "--format=%s", tip)).strip()
    if squash:
        return await _squash(git, branch, span, subject)
    done = await git.try_run(
        "merge", "--no-ff", "--no-edit", "--no-stat", "--no-autostash", "--no-verify-signatures",
        "-m", f"Merge {branch}: {subject}", tip, env=await git.identity(),
    )  # fmt: skip
    if done.code == 0:
        return ApplyResult(
            how="merged", message=f"{branch} is merged into your branch; undo it with git reset --merge HEAD~1"
        )
    files = tuple(await git.names("diff", "--name-only", "--diff-filter=U", "-z"))
    if await git.resolve("MERGE_HEAD") is not None:
        await git.run("merge", "--abort")
    where = f" ({name_some(files)})" if files else ""
    return _manual(f"git could not merge {branch}: {done.reason}{where}", command, conflicts=files)


async def _squash(git: Git, branch: str, span: tuple[str, str], subject: str) -> ApplyResult:
    """One commit with the work, created before the branch is moved to it: nothing can be left half done."""
    base, tip = span
    head = await git.run("rev-parse", "HEAD^{commit}")
    tree = f"{tip}^{{tree}}" if head == base else f"{(await _tried(git, head, tip)).tree}^{{tree}}"
    made = await git.commit_tree(await git.run("rev-parse", tree), f"{subject}\n\nSquashed from {branch}.", head)
    done = await git.try_run("merge", "--ff-only", "--no-stat", "--no-autostash", "--no-verify-signatures", made)
    if done.code != 0:
        command = f"git merge --squash {branch} && git commit"
        return _manual(f"git could not apply {branch} to your files: {done.reason}", command)
    return ApplyResult(
        how="squashed",
        message=f"the work of {branch} is now one commit on your branch; undo it with git reset --merge HEAD~1",
    )


async def _obstacle(git: Git, base: str, tip: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Why a merge would not be safe now, what to run first, and which files it is about; empty when it is safe."""
    operation = await _operation(git)
    if operation:
        return f"a {operation} is in progress", (f"git {operation} --continue",), ()
    if (await git.try_run("symbolic-ref", "--quiet", "HEAD")).code != 0:
        return "HEAD is detached, so the merge would not belong to any branch", ("git switch --create NAME",), ()
    files = await git.isolated()
    head = await git.run("rev-parse", "HEAD^{commit}")
    staged = await files.names("diff-index", "--cached", "--name-only", "--ignore-submodules=all", "-z", head)
    if staged:
        return f"your index contains staged changes: {name_some(staged)}", ("git commit",), tuple(staged)
    touched = await _touched(git, base, tip)
    program = await _program(git, tip, touched)
    if program:
        return program, (), ()
    both = sorted(touched & await _dirty(git, head))
    if both:
        first = (f"git add -- {shlex.join(both)}", "git commit")
        return f"you have uncommitted changes in {name_some(both)}", first, tuple(both)
    obstacle, conflicts = await _conflict(git, base, tip)
    return obstacle, (), conflicts


class _Tried(NamedTuple):
    """A merge that was tried without touching a file."""

    code: int
    tree: str
    conflicts: tuple[str, ...]


async def _tried(git: Git, head: str, tip: str) -> _Tried:
    files = await git.isolated()
    tried = await files.try_run("merge-tree", "--write-tree", "--name-only", "--no-messages", "-z", head, tip)
    tree, *names = tried.out.split("\0")
    return _Tried(tried.code, tree, tuple(sorted({name for name in names if name})))


async def _conflict(git: Git, base: str, tip: str) -> tuple[str, tuple[str, ...]]:
    head = await git.run("rev-parse", "HEAD^{commit}")
    tried = await _tried(git, head, tip)
    if tried.code == 1:
        return f"it conflicts with newer commits in {name_some(tried.conflicts)}", tried.conflicts
    # An older git cannot try a merge; without commits of the user's since then it cannot conflict.
    if tried.code != 0 and head != base:
        return "this git is too old to test a merge first", ()
    return "", ()


async def _patch(git: Git, branch: str, span: tuple[str, str], why: str) -> ApplyResult:
    base, tip = span
    files = await git.isolated()
    names = await _touched(git, base, tip)
    command = f"git diff --binary {base[:12]} {branch} | git apply --3way"
    program = await _program(git, tip, names)
    if program:
        return _manual(f"the changes of {branch} were not applied: {program}", command)
    patch = await files.run("diff", *PLAIN_DIFF, "--binary", "--full-index", "--no-renames", base, tip, "--")
    check = ("apply", "--check", "--whitespace=nowarn")
    if (await files.try_run(*check, "--reverse", stdin=f"{patch}\n")).code == 0:
        return ApplyResult(how="nothing", message=f"the changes of {branch} are already in your files")
    tried = await files.try_run(*check, stdin=f"{patch}\n")
    if tried.code != 0:
        misfits = sorted(names & set(_BESIDE_ERROR.findall(tried.err)))
        return _manual(
            f"the changes of {branch} do not apply to your current files: {name_some(misfits) or tried.reason}",
            command, conflicts=tuple(misfits),
        )  # fmt: skip
    await files.run("apply", "--whitespace=nowarn", stdin=f"{patch}\n")
    return ApplyResult(
        how="patched",
        message=f"the changes of {branch} are in your files, uncommitted, {why}: {name_some(names)}",
    )


async def _operation(git: Git) -> str:
    git_dir = (await git.place()).git_dir
    return next((operation for name, operation in _UNDER_WAY.items() if (git_dir / name).exists()), "")


async def _program(git: Git, tip: str, names: set[str]) -> str:
    """Why the files cannot be written here: git would run a program for them; empty when it would not."""
    config = await git.config()
    programs = {"filter": set(config.filters()), "merge": config.merge_drivers()}
    if not any(programs.values()):
        return ""
    files = await git.isolated()
    found = await attributes_of(files, names, *programs)
    async with scratch_index(None) as index:
        # The work may bring attributes of its own.
        await files.run("read-tree", tip, index=index)
        after = await attributes_of(files, names, *programs, index=index, cached=True)
    for attributes in (found, after):
        touched = sorted(name for (name, attribute), value in attributes.items() if value in programs[attribute])
        if touched:
            return f"git would run a filter or merge program of its configuration on {name_some(touched)}"
    return ""


async def _touched(git: Git, base: str, tip: str) -> set[str]:
    files = await git.isolated()
    return set(await files.names("diff", *PLAIN_DIFF, "--name-only", "--no-renames", "-z", base, tip, "--"))


async def _dirty(git: Git, head: str) -> set[str]:
    """Files that differ from HEAD, and all untracked ones, including ignored ones."""
    files = await git.isolated()
    changed = await files.names("diff", *PLAIN_DIFF, "--name-only", "--no-renames", "-z", head, "--")
    return set(changed) | set(await files.names("ls-files", "--others", "-z"))


async def _is_ancestor(git: Git, one: str, other: str) -> bool:
    return (await git.try_run("merge-base", "--is-ancestor", one, other)).code == 0


def _manual(message: str, *commands: str, conflicts: tuple[str, ...] = ()) -> ApplyResult:
    lines = "\n".join(f"  {command}" for command in commands)
    text = f"{message}\nto do it yourself:\n{lines}"
    return ApplyResult(how="manual", message=text, commands=commands, conflicts=conflicts)
