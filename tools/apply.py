"""Bringing a thread's work into the user's checkout: merged or applied where that cannot lose an edit, else the
commands that do it are named. The only module that writes to the checkout, and only when asked."""

import shlex
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from core.errors import RepositoryError
from tools.git import PLAIN_DIFF, Git
from tools.staging import attributes_of, scratch_index
from tools.staging_rules import StagingRules
from tools.workspace import GitWorkspace

_UNDER_WAY = {
    "MERGE_HEAD": "merge", "CHERRY_PICK_HEAD": "cherry-pick", "REVERT_HEAD": "revert", "rebase-merge": "rebase",
    "rebase-apply": "rebase",
}  # fmt: skip


class Applied(BaseModel):
    """What became of the work."""

    model_config = ConfigDict(frozen=True)

    how: Literal["merged", "patched", "nothing", "manual"]
    message: str
    commands: tuple[str, ...] = ()
    """What a person can run instead, when it was not done here."""

    @property
    def applied(self) -> bool:
        """Whether the checkout holds the work now."""
        return self.how != "manual"


async def apply_branch(
    repo: Path, thread_id: str, *, title: str = "", running: bool = False, rules: StagingRules | None = None
) -> Applied:
    """Merge a thread's branch into the user's current branch, or apply its patch to the files.

    A branch that began at a commit of the current branch is merged. Where the user had uncommitted changes when
    the thread began, or is on another branch now, the patch is applied to the files and not committed. Nothing is
    begun that could end half done.

    Args:
        repo: The user's checkout.
        thread_id: The thread.
        title: What the merge is said to bring; the title of the last commit when empty.
        running: Somebody drives the thread at present.
        rules: What is left out of commits, as the thread had it.

    Raises:
        RepositoryError: The repository holds no work of this thread.
    """
    workspace = await GitWorkspace.open(repo, thread_id, rules)
    outcome = await _apply(workspace, title)
    if not await workspace.has_uncommitted():
        return outcome
    way = "it is still running, apply it again when it has ended" if running else "resume it to finish them"
    rest = f"; changes of the thread that are in no commit yet were left out: {way}"
    return outcome.model_copy(update={"message": f"{outcome.message}{rest}"})


async def _apply(workspace: GitWorkspace, title: str) -> Applied:
    base, git = await workspace.base(), Git(workspace.repo)
    tip = await git.resolve(f"refs/heads/{workspace.branch}^{{commit}}")
    if tip is None:
        raise RepositoryError(f"the branch {workspace.branch} is gone", hint=f"its base is still there: {base}")
    if tip == base:
        return Applied(how="nothing", message=f"{workspace.branch} changes nothing")
    if await _is_ancestor(git, tip, "HEAD"):
        return Applied(how="nothing", message=f"{workspace.branch} is merged already")
    if await _is_ancestor(git, base, "HEAD"):
        return await _merge(git, workspace.branch, (base, tip), title)
    return await _patch(git, workspace.branch, base, tip)


async def _merge(git: Git, branch: str, span: tuple[str, str], title: str) -> Applied:
    base, tip = span
    command = f"git merge --no-ff {branch}"
    obstacle, remedy = await _obstacle(git, base, tip)
    if obstacle:
        return _manual(f"{branch} was not merged: {obstacle}", *remedy, command)
    subject = title or (await git.run("log", "-1", "--format=%s", tip)).strip()
    done = await git.try_run(
        "merge", "--no-ff", "--no-edit", "--no-stat", "--no-autostash", "--no-verify-signatures",
        "-m", f"Merge {branch}: {subject}", tip, env=await git.identity(),
    )  # fmt: skip
    if done.code == 0:
        return Applied(
            how="merged", message=f"{branch} is merged into your branch; undo it with git reset --merge HEAD~1"
        )
    if await git.resolve("MERGE_HEAD") is not None:
        await git.run("merge", "--abort")
    return _manual(f"git could not merge {branch}: {done.reason}", command)


async def _obstacle(git: Git, base: str, tip: str) -> tuple[str, tuple[str, ...]]:
    """Why a merge would not be safe now, and what to run first; empty when it is."""
    operation = await _operation(git)
    if operation:
        return f"a {operation} is under way", (f"git {operation} --continue",)
    if (await git.try_run("symbolic-ref", "--quiet", "HEAD")).code != 0:
        return "HEAD is detached, so the merge would belong to no branch", ("git switch --create NAME",)
    files = await git.isolated()
    head = await git.run("rev-parse", "HEAD^{commit}")
    staged = await files.try_run("diff-index", "--cached", "--quiet", "--ignore-submodules=all", head)
    if staged.code != 0:
        return "your index holds staged changes", ("git commit",)
    touched = await _touched(git, base, tip)
    program = await _program(git, tip, touched)
    if program:
        return program, ()
    both = sorted(touched & await _dirty(git, head))
    if both:
        return f"you have uncommitted changes in {_some(both)}", (f"git add -- {shlex.join(both)}", "git commit")
    return await _conflict(git, base, tip), ()


async def _conflict(git: Git, base: str, tip: str) -> str:
    files = await git.isolated()
    head = await git.run("rev-parse", "HEAD^{commit}")
    tried = await files.try_run("merge-tree", "--write-tree", head, tip)
    if tried.code == 1:
        return "it conflicts with what was committed since"
    # An older git cannot try a merge; without commits of the user's since then it cannot conflict.
    if tried.code != 0 and head != base:
        return "this git is too old to try a merge beforehand"
    return ""


async def _patch(git: Git, branch: str, base: str, tip: str) -> Applied:
    files = await git.isolated()
    names = await _touched(git, base, tip)
    command = f"git diff --binary {base[:12]} {branch} | git apply --3way"
    program = await _program(git, tip, names)
    if program:
        return _manual(f"the changes of {branch} were not applied: {program}", command)
    patch = await files.run("diff", *PLAIN_DIFF, "--binary", "--full-index", "--no-renames", base, tip, "--")
    check = ("apply", "--check", "--whitespace=nowarn")
    if (await files.try_run(*check, "--reverse", stdin=f"{patch}\n")).code == 0:
        return Applied(how="nothing", message=f"the changes of {branch} are in your files already")
    tried = await files.try_run(*check, stdin=f"{patch}\n")
    if tried.code != 0:
        reason = tried.err.strip().splitlines()[0].removeprefix("error: ") if tried.err.strip() else tried.reason
        return _manual(
            f"the changes of {branch} do not fit your files as they are now: {reason}",
            command,
        )
    await files.run("apply", "--whitespace=nowarn", stdin=f"{patch}\n")
    return Applied(
        how="patched", message=f"the changes of {branch} are in your files, not committed: {_some(sorted(names))}"
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
            return f"git would run a filter or merge program of its configuration on {_some(touched)}"
    return ""


async def _touched(git: Git, base: str, tip: str) -> set[str]:
    files = await git.isolated()
    return set(await files.names("diff", *PLAIN_DIFF, "--name-only", "--no-renames", "-z", base, tip, "--"))


async def _dirty(git: Git, head: str) -> set[str]:
    """Files that differ from HEAD, and all that are untracked, ignored ones included."""
    files = await git.isolated()
    changed = await files.names("diff", *PLAIN_DIFF, "--name-only", "--no-renames", "-z", head, "--")
    return set(changed) | set(await files.names("ls-files", "--others", "-z"))


async def _is_ancestor(git: Git, one: str, other: str) -> bool:
    return (await git.try_run("merge-base", "--is-ancestor", one, other)).code == 0


def _manual(message: str, *commands: str) -> Applied:
    lines = "\n".join(f"  {command}" for command in commands)
    return Applied(how="manual", message=f"{message}\nto do it yourself:\n{lines}", commands=commands)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
