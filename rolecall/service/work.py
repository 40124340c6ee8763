"""The verbs `diff`, `verify` and `apply`: what a thread changed, whether it passes, and applying it to the checkout."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from core.artifacts import CheckRun
from core.errors import ThreadError
from core.text import single_line
from core.threads import ThreadOptions
from rolecall.service.listeners import QueuedListener
from rolecall.service.lookup import (
    OnThread,
    OnWarning,
    ThreadRequest,
    as_it_stands,
    found,
    is_driven,
    rules_of,
    settings_for,
    unheard,
)
from rolecall.service.plain import blocking

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.events import Event
    from core.threads import ThreadRow


class DiffRequest(ThreadRequest):
    """What a thread changed."""

    stat: bool = False
    """Files and line counts only."""
    exact: bool = False
    """As `git apply` accepts it: binary files and full object names."""


class Diff(BaseModel):
    """What a thread changed since its base, committed or not."""

    model_config = ConfigDict(frozen=True)

    thread: str
    diff: str
    """Empty when nothing was changed."""


class VerifyRequest(ThreadRequest):
    """A thread's work, to check again."""

    options: ThreadOptions = ThreadOptions()
    """Override those of the thread."""


class VerifiedWork(BaseModel):
    """What the repository's checks said of a thread's last commit."""

    model_config = ConfigDict(frozen=True)

    thread: str
    branch: str
    commit: str
    checks: tuple[CheckRun, ...]

    @property
    def green(self) -> bool:
        """Whether there are checks, and all passed."""
        return bool(self.checks) and all(check.passed for check in self.checks)


class ApplyRequest(ThreadRequest):
    """A thread's work, to apply to the user's checkout."""

    way: Literal["merge", "squash", "files"] = "merge"
    """A merge commit, one commit without the thread's own, or changed files and no commit at all."""
    force: bool = False
    """Also work that is not known to be correct."""


class AppliedWork(BaseModel):
    """What became of the work."""

    model_config = ConfigDict(frozen=True)

    thread: str
    how: Literal["merged", "squashed", "patched", "nothing", "manual", "refused"]
    """Refused: it is not known to be correct, and force was not set."""
    message: str = ""
    commands: tuple[str, ...] = ()
    """What a person can run instead, when it was not done here."""
    conflicts: tuple[str, ...] = ()
    """All files that are in the way."""
    applied: bool = False
    """Whether the checkout contains the work now."""
    reservations: tuple[str, ...] = ()
    """Reasons not to apply it."""


@blocking
async def diff(request: DiffRequest, *, on_thread: OnThread = unheard) -> Diff:
    """What a thread changed.

    Raises:
        ThreadError: The thread is unknown.
        RepositoryError: Its work is gone from the repository.
    """
    from tools.worktree.workspace import GitWorkspace

    top, row = await found(request, on_thread)
    text = ""
    if row.branch:  # else nothing was made for it
        workspace = await GitWorkspace.open(top, row.thread_id, await rules_of(row, top))
        text = await (workspace.patch() if request.exact else workspace.diff(stat=request.stat))
    return Diff(thread=row.thread_id, diff=text)


async def verify(
    request: VerifyRequest, *, listen: "Callable[[Event], None]" = unheard, on_thread: OnThread = unheard,
    on_warning: OnWarning = unheard,
) -> VerifiedWork:  # fmt: skip
    """Run the repository's checks on a thread's last commit, in a fresh worktree that is removed afterwards.

    Args:
        request: The thread, and options that override its own.
        listen: Receives every event, in order, in a separate thread: it may be slow.
        on_thread: Receives the thread as soon as it is known.
        on_warning: Receives warnings about the configuration.

    Raises:
        ThreadError: The thread is unknown, or no work was begun for it.
        RepositoryError: Its work is gone from the repository.
        ConfigError: The settings cannot be used.
        LockedError: It is being verified already.
    """
    top, row = await found(request, on_thread)
    if not row.branch:
        raise ThreadError(f"{row.short} has no branch: nothing was begun for it", hint=f"`rolecall resume {row.short}`")
    asked = row.options.then(request.options)
    settings = (await settings_for(asked, top, on_warning)).settings
    from graph.context_factory import RunSpec
    from graph.verify import check_last_commit

    async with QueuedListener(listen) as queued:
        done = await check_last_commit(RunSpec(row.thread_id, top, settings, asked=asked), listen=queued)
    return VerifiedWork(thread=row.thread_id, branch=row.branch, commit=done.commit, checks=done.checks)


@blocking
async def apply(request: ApplyRequest, *, on_thread: OnThread = unheard) -> AppliedWork:
    """Apply a thread's work to the user's checkout, if that cannot lose an edit.

    Raises:
        ThreadError: The thread is unknown.
        RepositoryError: Its work is gone from the repository.
    """
    from tools.worktree.apply import apply_branch, has_work

    top, row = await found(request, on_thread)
    running = await is_driven(top, row.thread_id)
    told = await _told_against(row, top) if await has_work(top, row.thread_id) else ()
    if told and not request.force:
        return AppliedWork(thread=row.thread_id, how="refused", reservations=told)
    done = await apply_branch(
        top, row.thread_id, title=single_line(row.task, width=72), running=running, rules=await rules_of(row, top),
        way=request.way,
    )  # fmt: skip
    return AppliedWork(thread=row.thread_id, **done.model_dump(), applied=done.applied, reservations=told)


async def _told_against(row: "ThreadRow", top: Path) -> tuple[str, ...]:
    from core.storage.database import database_of
    from graph.apply_warnings import apply_warnings

    return await apply_warnings(await as_it_stands(row, top), database_of(top))
