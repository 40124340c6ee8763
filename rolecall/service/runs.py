"""The verbs that drive a thread: start, resume, continue, answer. The graph is imported when one is called."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from pydantic import Field

from core.config.settings import Settings
from core.errors import LockedError, ThreadError
from core.run_result import RunResult
from core.threads import ThreadOptions, ThreadStatus
from rolecall.service.listeners import QueuedListener
from rolecall.service.lookup import (
    OnThread,
    OnWarning,
    SetupRequest,
    ThreadRequest,
    as_it_stands,
    folder_of,
    found,
    is_driven,
    settings_for,
    unheard,
)

if TYPE_CHECKING:
    from pathlib import Path

    from core.events import Event
    from graph.context_factory import RunSpec
    from graph.drive.thread_run import AskUser, UserQuestion

Drive = Callable[["RunSpec", "Callable[[Event], None]", "AskUser | None"], Awaitable[RunResult]]


class Running(SetupRequest):
    """What every run is asked; `options` hold for later runs of the thread too."""

    interactive: bool = False
    """Somebody is there to answer questions."""
    approve_all: bool = False
    """Commands outside the allow-list run without asking."""
    settings: Settings | None = None
    """Taken as they are; by default files and environment are read, as `options` say."""


class StartRequest(Running):
    """A task for a repository."""

    task: str = Field(min_length=1)
    thread_id: str = Field(default_factory=lambda: str(uuid4()))


class ResumeRequest(Running, ThreadRequest):
    """A thread that is to go on where it stands."""


class ContinueRequest(Running, ThreadRequest):
    """A thread that is to go on with a new request; limits that earlier calls gave hold no more."""

    text: str = Field(min_length=1)


class AnswerRequest(ResumeRequest):
    """The answer to the question a thread waits with."""

    text: str = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run that can begin: its thread is known, its settings hold."""

    spec: "RunSpec"
    _drive: Drive

    async def drive(self, *, listen: "Callable[[Event], None]" = unheard, ask: "AskUser | None" = None) -> RunResult:
        """Drive the thread to its end, or to what stops it.

        Args:
            listen: Told of every event within the event loop; a `QueuedListener` keeps it from holding the loop up.
            ask: Answers questions; without it a question stops the run, resumable.

        Raises:
            RolecallError: See `graph.runner`.
        """
        return await self._drive(self.spec, listen, ask)


async def start(
    request: StartRequest, *, listen: "Callable[[Event], None]" = unheard, ask: "AskUser | None" = None
) -> RunResult:
    """Do a task on a branch of its own.

    Args:
        request: What is to be done, and where.
        listen: Told of every event, in order, in a thread of its own: it may be slow.
        ask: Answers questions; without it a question stops the run, resumable.

    Raises:
        RepositoryError: The repository cannot be worked in; nothing was changed.
        ConfigError: The settings cannot be used.
        UsageError: A model was asked for that there is not.
    """
    return await _heard(await prepare_start(request), listen, ask)


async def resume(
    request: ResumeRequest, *, listen: "Callable[[Event], None]" = unheard, ask: "AskUser | None" = None
) -> RunResult:
    """Go on with a thread where its last checkpoint stands; arguments as in `start`.

    Raises:
        ThreadError: The thread is unknown or finished.
        LockedError: Another process drives it.
    """
    return await _heard(await prepare_resume(request), listen, ask)


async def continue_thread(
    request: ContinueRequest, *, listen: "Callable[[Event], None]" = unheard, ask: "AskUser | None" = None
) -> RunResult:
    """Go on with a thread that is not running with a new request; arguments as in `start`.

    Raises:
        ThreadError: The thread is unknown.
        RepositoryError: Its work is gone from the repository.
        LockedError: Another process drives it.
    """
    return await _heard(await prepare_continue(request), listen, ask)


async def answer(request: AnswerRequest, *, listen: "Callable[[Event], None]" = unheard) -> RunResult:
    """Answer the first question a thread waits with, and go on; a further question stops it again.

    Raises:
        ThreadError: The thread is unknown, or waits for no answer.
        LockedError: Another process drives it, which asks its questions itself.
    """
    top, row = await found(request)
    if (await as_it_stands(row, top)).status != ThreadStatus.WAITING:
        raise ThreadError(f"{row.short} does not wait for an answer", hint=f"`rolecall threads show {row.short}`")
    answers = [request.text]

    async def ask(_: "UserQuestion") -> str | None:
        return answers.pop() if answers else None

    return await _heard(await prepare_resume(request), listen, ask)


async def prepare_start(request: StartRequest, *, on_warning: OnWarning = unheard) -> Prepared:
    """Make sure that a task can be begun, before anything is made for it."""
    from graph import runner
    from tools.git.repository import find_top

    top = await find_top(folder_of(request.repo))
    spec = await _spec(request, top, request.thread_id, request.options, on_warning, task=request.task)
    return Prepared(spec, lambda spec, listen, ask: runner.run(spec, listen=listen, ask=ask))


async def prepare_resume(
    request: ResumeRequest, *, on_thread: OnThread = unheard, on_warning: OnWarning = unheard
) -> Prepared:
    """Find the thread that is to go on, and what holds for it."""
    from graph import runner

    top, row = await found(request, on_thread)
    spec = await _spec(request, top, row.thread_id, row.options.then(request.options), on_warning)
    return Prepared(spec, lambda spec, listen, ask: runner.resume_thread(spec, listen=listen, ask=ask))


async def prepare_continue(
    request: ContinueRequest, *, on_thread: OnThread = unheard, on_warning: OnWarning = unheard
) -> Prepared:
    """Find the thread that is to go on with a new request, and what holds for it."""
    from graph import runner

    top, row = await found(request, on_thread)
    if await is_driven(top, row.thread_id):
        raise LockedError(f"{row.short} is running; tell it with `rolecall steer {row.short} TEXT`")
    before = row.options.model_copy(update={"limits": {}})
    spec = await _spec(request, top, row.thread_id, before.then(request.options), on_warning)
    return Prepared(spec, lambda spec, listen, ask: runner.run_request(spec, request.text, listen=listen, ask=ask))


async def _spec(
    request: Running, top: "Path", thread_id: str, asked: ThreadOptions, on_warning: OnWarning, *, task: str = ""
) -> "RunSpec":
    settings = request.settings or (await settings_for(asked, top, on_warning)).settings
    from core.context import RunOptions
    from graph.context_factory import RunSpec
    from llm_registry.overrides import checked_overrides

    # Before a worktree is made for a run that cannot begin.
    await checked_overrides(settings, asked.models)
    options = RunOptions(interactive=request.interactive, approve_all=request.approve_all)
    return RunSpec(thread_id, top, settings, options, asked, task)


async def _heard(prepared: Prepared, listen: "Callable[[Event], None]", ask: "AskUser | None") -> RunResult:
    async with QueuedListener(listen) as queued:

        async def asked(question: "UserQuestion") -> str | None:
            await queued.flushed()  # the question itself is an event
            return await ask(question) if ask else None

        return await prepared.drive(listen=queued, ask=asked if ask else None)
