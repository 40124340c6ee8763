"""One run as the user lives it: events go to screen or stdout, keys and signals go to the run, the result ends it.

It decides nothing about the work; the graph's runner does that.
"""

import asyncio
import sys
from argparse import Namespace
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from core.config.settings import Settings
from core.errors import Exit
from core.events import Event
from core.known_secrets import redactor_of
from graph.drive.thread_run import AskUser, UserQuestion
from graph.runner import RunOutcome
from graph.store.checkpoints import database_of
from graph.store.event_log import Listen
from graph.store.inbox import SqliteInbox
from graph.store.thread_store import FINISHED
from rolecall.error_boundary import stop_writing
from rolecall.invocation import Invocation
from rolecall.output.display import Display, Screen
from rolecall.output.jsonl import EventLines
from rolecall.output.result_output import print_outcome, result_fields
from rolecall.terminal.keyboard import Keyboard, in_foreground, listening
from rolecall.terminal.signals import StopRequests, catch_signals
from rolecall.thread_options import raised

SendMessage = Callable[[str, str, str, str], Awaitable[None]]
"""Thread, author, kind and text of a message to the run."""


class RunJob(Protocol):
    """The run itself."""

    async def __call__(self, *, listen: Listen, ask: AskUser | None) -> RunOutcome:
        """Drive the thread to its end."""


@dataclass(frozen=True, slots=True)
class DisplayOptions:
    """How the user wants to see the run, and whether they are there."""

    json: bool = False
    quiet: bool = False
    attended: bool = False
    """Questions may be asked."""
    raised: tuple[str, ...] = ()
    """Options that raise the limits of the run."""
    more_calls: str = ""
    """The assignment that raises the limit of model calls, which has no option."""


class TerminalRun:
    """Joins a run to the terminal."""

    def __init__(self, invocation: Invocation, manner: DisplayOptions, *, tell: SendMessage) -> None:
        self._invocation = invocation
        self._manner = manner
        self._tell = tell
        self._lines = EventLines()
        # With --json on the same terminal the display would be drawn into the lines.
        shown = not manner.json or (sys.stderr.isatty() and not sys.stdout.isatty())
        console = Screen()
        self._display = Display(console, quiet=manner.quiet) if shown else None
        self._answer: asyncio.Future[str] | None = None
        self._asking = asyncio.Lock()
        self._begun_before = False
        """The line being typed was begun before the question there is: it steers, whatever is asked meanwhile."""
        self._messages: set[asyncio.Task[None]] = set()

    async def live(self, job: RunJob) -> int:
        """Run the job and return the exit code."""
        work = asyncio.ensure_future(job(listen=self._listen, ask=self._ask if self._manner.attended else None))
        stopping = StopRequests(ask=lambda by: self._ask_to_stop(work, by), cut=lambda: self._cut(work), say=self._say)
        try:
            with ExitStack() as stack:
                stack.enter_context(catch_signals(stopping))
                if self._display:
                    stack.enter_context(self._display)
                self._listen_to_keys(stack, stopping)
                outcome = await work
        except asyncio.CancelledError:
            if stopping.code is None:
                raise
            return self._cut_short(stopping.code)
        finally:
            if self._messages:
                await asyncio.gather(*self._messages, return_exceptions=True)
            self._lines.close()  # before an error that ends the run is told on the same stream
        return self._finished(outcome)

    def _listen(self, event: Event) -> None:
        if event.event == "run_started":  # before that there is nothing to go on with, and nobody to be told
            self._invocation.thread = event.thread
            self._invocation.resumable = True
        if self._manner.json:
            self._lines.listen(event)
        if self._display:
            self._display.listen(event)

    def _listen_to_keys(self, stack: ExitStack, stopping: StopRequests) -> None:
        if self._display is None or not sys.stderr.isatty() or not in_foreground(sys.stdin):
            return
        raw = not self._manner.quiet

        def on_end() -> None:
            if self._waits_for_answer():
                stopping.interrupted()  # nobody is there to answer any more

        self._display.typing = raw
        stack.enter_context(listening(Keyboard(self._typed_line, self._typed, on_end), sys.stdin.fileno(), raw=raw))

    def _typed(self, text: str) -> None:
        if not text:
            self._begun_before = False
        if self._display:
            self._display.typed, self._display.steers = text, self._begun_before
            self._display.refresh()

    def _typed_line(self, line: str) -> None:
        steers, self._begun_before = self._begun_before, False
        if self._answer is not None and not self._answer.done() and not steers:
            self._answer.set_result(line)
        elif line.strip() == "?":
            self._send("ask", "")  # answered with a line of status, not shown to the model that works
        else:
            self._send("guidance", line)

    def _cut(self, work: asyncio.Future[RunOutcome]) -> None:
        if self._display:
            self._display.stopping = "stopping at once"
        _cancel(work)

    def _ask_to_stop(self, work: asyncio.Future[RunOutcome], by: str) -> None:
        if self._display:
            self._display.stopping = "stopping at the next step · Ctrl-C again stops at once"
        if self._waits_for_answer() or not self._invocation.thread:
            _cancel(work)  # no step is under way; a question is asked again when the thread is resumed
        else:
            self._send("pause", "", author=by)

    def _waits_for_answer(self) -> bool:
        return self._answer is not None and not self._answer.done()

    async def _ask(self, question: UserQuestion) -> str:
        async with self._asking:
            self._answer = waiting = asyncio.get_running_loop().create_future()
            if self._display and self._display.typed:
                self._begun_before = self._display.steers = True
                self._say("the line you are typing still goes to the run; the one after it is your answer")
            if question.kind == "approval":
                self._say("answer y, n, or what to do instead")
            answer: str = await waiting
            if self._display:
                self._display.view.question = ""
            self._say(f"> {answer}")
            return answer

    def _send(self, kind: str, text: str, *, author: str = "user") -> None:
        thread = self._invocation.thread
        if not thread:
            self._say("the run has not begun yet")
            return
        if text:
            self._say(f"> {text}")
        task = asyncio.ensure_future(self._tell(thread, author, kind, text))
        self._messages.add(task)
        task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._messages.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._say(f"the message did not reach the run: {error}")

    def _say(self, text: str) -> None:
        if self._display:
            self._display.say(text, style="cyan")
        else:
            print(text, file=sys.stderr)

    def _cut_short(self, code: Exit) -> int:
        thread = self._invocation.thread
        if self._manner.json:
            self._lines.finish(v=1, event="result", thread=thread, status="interrupted", exit_code=int(code))
            self._invocation.result_written = True
        text = "stopped; what the last step saved is kept" if thread else "stopped before it began"
        return _with_last_words(lambda: print(text, file=sys.stderr), int(code))

    def _finished(self, outcome: RunOutcome) -> int:
        code = outcome.exit_code  # also after Ctrl-C: a run that ended before it could stop did not stop
        self._invocation.thread = outcome.thread_id
        self._invocation.resumable = outcome.status not in FINISHED
        self._invocation.raised = self._manner.raised if outcome.status == "budget" else ()
        self._invocation.environment = self._manner.more_calls if "max_model_calls" in outcome.hint else ""
        if self._manner.json:
            self._lines.finish(**result_fields(outcome, code))
            self._invocation.result_written = True
            return code
        return _with_last_words(lambda: print_outcome(outcome, code, self._invocation), code)


def _with_last_words(say: Callable[[], None], code: int) -> int:
    """Say how it ended, if anybody listens still; the exit code tells it in any case."""
    try:
        say()
    except OSError:
        stop_writing()
    return code


def _cancel(work: asyncio.Future[RunOutcome]) -> None:
    work.cancel()


def display_options(options: Namespace, settings: Settings) -> DisplayOptions:
    """How the options ask for a run to be shown, and how its limits would be raised."""
    unattended = options.json or getattr(options, "yes", False) or not sys.stdin.isatty() or not sys.stderr.isatty()
    calls = settings.budget.max_model_calls
    return DisplayOptions(
        json=options.json,
        quiet=options.quiet,
        attended=not unattended,
        raised=raised(settings.budget),
        more_calls=f"ROLECALL_BUDGET__MAX_MODEL_CALLS={calls * 2}" if calls else "",
    )


def message_sender(top: Path, settings: Settings) -> SendMessage:
    """A way to send messages to the threads of a repository."""
    redactor = redactor_of(settings)

    async def tell(thread: str, author: str, kind: str, text: str) -> None:
        await SqliteInbox(database_of(top), thread, redactor).put(thread, kind=kind, author=author, text=text)

    return tell
