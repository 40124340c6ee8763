"""The verbs that run a thread: start, resume, continue, answer. The graph is imported when one is called."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from pydantic import Field

from core.config.settings import Settings
from core.errors import LockedError, ThreadError
from core.run_result import RunResult
from core.threads import ThreadStatus
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
    from core.events import Event
    from graph.context_factory import RunSpec
    from graph.drive.thread_run import AskUser, UserQuestion


class Running(SetupRequest):
    """What every run takes; `options` hold for later runs of the thread too."""

    interactive: bool = False
    """A user is present to answer questions."""
    approve_all: bool = False
    """Commands outside the allow-list run without asking."""
    settings: Settings | None = None
    """Used as they are; by default they are read from files and environment, as `options` say."""


class StartRequest(Running):
    """A task for a repository."""

    task: str = Field(min_length=1)
    thread_id: str = Field(default_factory=lambda: str(uuid4()))


class ResumeRequest(Running, ThreadRequest):
    """A thread to resume."""


class ContinueRequest(Running, ThreadRequest):
    """A new request for a thread; limits given in earlier calls no longer apply."""

    text: str = Field(min_length=1)


class AnswerRequest(ResumeRequest):
    """The answer to the question a thread is waiting on."""

    text: str = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run that can start: its thread is known, its settings are valid."""

    spec: "RunSpec"
    drive: Callable[..., Awaitable[RunResult]]
    """Runs the thread to its end, or to what stops it.

    Takes `listen`, told of every event within the event loop, and `ask`, which answers questions; without it a question
    stops the run, resumable. Raises what `graph.runner` does.
    """


async def start(
    request: StartRequest, *, listen: "Callable[[Event], None]" = unheard, ask: "AskUser | None" = None
) -> RunResult:
    """Run a task on a branch of its own.

    Args:
        request: The task and its repository.
        listen: Receives every event, in order, in a separate thread: it may be slow.
        ask: Answers questions; without it a question stops the run, which can be resumed.

    Raises:
        RepositoryError: The repository cannot be used; nothing was changed.
        ConfigError: The settings cannot be used.
        UsageError: A requested model does not exist.
    """
    return await _heard(await prepare(request), listen, ask)


async def resume(
    request: ResumeRequest, *, listen: "Callable[[Event], None]" = unheard, ask: "AskUser | None" = None
) -> RunResult:
    """Resume a thread from its last checkpoint; arguments as in `start`.

    Raises:
        ThreadError: The thread is unknown or finished.
        LockedError: Another process is running it.
    """
    return await _heard(await prepare(request), listen, ask)


async def continue_thread(
    request: ContinueRequest, *, listen: "Callable[[Event], None]" = unheard, ask: "AskUser | None" = None
) -> RunResult:
    """Give a thread that is not running a new request; arguments as in `start`.

    Raises:
        ThreadError: The thread is unknown.
        RepositoryError: Its work is gone from the repository.
        LockedError: Another process is running it.
    """
    return await _heard(await prepare(request), listen, ask)


async def answer(request: AnswerRequest, *, listen: "Callable[[Event], None]" = unheard) -> RunResult:
    """Answer the question a thread is waiting on and resume it; a further question stops it again.

    Raises:
        ThreadError: The thread is unknown, or is not waiting for an answer.
        LockedError: Another process is running it, and asks its questions itself.
    """
    top, row = await found(request)
    if (await as_it_stands(row, top)).status != ThreadStatus.WAITING:
        raise ThreadError(f"{row.short} is not waiting for an answer", hint=f"`rolecall threads show {row.short}`")
    answers = [request.text]

    async def ask(_: "UserQuestion") -> str | None:
        return answers.pop() if answers else None

    return await _heard(await prepare(request), listen, ask)


async def prepare(
    request: "StartRequest | ResumeRequest | ContinueRequest",
    *,
    on_thread: OnThread = unheard,
    on_warning: OnWarning = unheard,
) -> Prepared:
    """Find the thread, its settings and its options before anything is created; raises what `start` and the others do.

    Args:
        request: A new task, a thread to resume, or a new request for a thread.
        on_thread: Receives an existing thread as soon as it is found.
        on_warning: Receives warnings about the configuration.
    """
    if isinstance(request, StartRequest):
        from tools.git.repository import find_top

        top, thread_id, asked, task = (
            await find_top(folder_of(request.repo)), request.thread_id, request.options, request.task,
        )  # fmt: skip
    else:
        top, row = await found(request, on_thread)
        thread_id, before, task = row.thread_id, row.options, ""
        if isinstance(request, ContinueRequest):
            if await is_driven(top, thread_id):
                raise LockedError(f"{row.short} is running; send a message with `rolecall steer {row.short} TEXT`")
            before = before.model_copy(update={"limits": {}})
        asked = before.then(request.options)
    settings = request.settings or (await settings_for(asked, top, on_warning)).settings
    from core.context import RunOptions
    from graph import runner
    from graph.context_factory import RunSpec
    from llm_registry.overrides import checked_overrides

    await checked_overrides(settings, asked.models)
    options = RunOptions(interactive=request.interactive, approve_all=request.approve_all)
    spec = RunSpec(thread_id, top, settings, options, asked, task)
    if isinstance(request, ContinueRequest):
        return Prepared(spec, partial(runner.run_request, spec, request.text))
    return Prepared(spec, partial(runner.run if task else runner.resume_thread, spec))


async def _heard(prepared: Prepared, listen: "Callable[[Event], None]", ask: "AskUser | None") -> RunResult:
    async with QueuedListener(listen) as queued:

        async def asked(question: "UserQuestion") -> str | None:
            await queued.flushed()  # the question itself is an event
            return await ask(question) if ask else None

        return await prepared.drive(listen=queued, ask=asked if ask else None)
