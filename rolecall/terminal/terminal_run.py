"""One run as the user sees it: events go to screen or stdout, keys and signals go to the run, the result ends it.

It decides nothing about the work; the graph's runner does that.
"""

import asyncio
import sys
from collections.abc import Callable
from contextlib import ExitStack

from core.errors import Exit
from core.events import Event
from core.known_secrets import redactor_of
from core.run_result import RunResult
from core.threads import ThreadStatus
from graph.drive.thread_run import UserQuestion
from rolecall.error_boundary import stop_writing
from rolecall.invocation import Invocation
from rolecall.output.display import Display, Screen
from rolecall.output.jsonl import EventLines
from rolecall.output.result_output import print_outcome
from rolecall.output.warnings import warn
from rolecall.service.listeners import QueuedListener
from rolecall.service.runs import ContinueRequest, Prepared, ResumeRequest, StartRequest, prepare
from rolecall.service.steering import inbox_of
from rolecall.terminal.keyboard import Keyboard, in_foreground, listening
from rolecall.terminal.signals import StopRequests, catch_signals
from rolecall.thread_options import raised


class TerminalRun:
    """Connects a run to the terminal."""

    def __init__(self, invocation: Invocation, prepared: Prepared, *, quiet: bool) -> None:
        self._invocation = invocation
        self._invocation.approves = prepared.spec.options.approve_all
        self._prepared, self._quiet = prepared, quiet
        self._redactor = redactor_of(prepared.spec.settings)
        self._lines = EventLines()
        self._events = QueuedListener(self._show)
        # With --json on the same terminal the display would be drawn into the lines.
        shown = not invocation.json or (sys.stderr.isatty() and not sys.stdout.isatty())
        console = Screen()
        self._display = Display(console, quiet=quiet) if shown else None
        self._answer: asyncio.Future[str] | None = None
        self._asking = asyncio.Lock()
        self._begun_before = False
        """The line being typed was started before the current question: it steers the run, whatever is asked
        meanwhile."""
        self._messages: set[asyncio.Task[None]] = set()

    async def live(self) -> int:
        """Run the thread and return the exit code."""
        ask = self._ask if self._prepared.spec.options.interactive else None
        work = asyncio.ensure_future(self._prepared.drive(listen=self._listen, ask=ask))
        stopping = StopRequests(ask=lambda by: self._ask_to_stop(work, by), cut=lambda: self._cut(work), say=self._say)
        try:
            with ExitStack() as stack:
                stack.enter_context(catch_signals(stopping))
                if self._display:
                    stack.enter_context(self._display)
                self._listen_to_keys(stack, stopping)
                result = await work
        except asyncio.CancelledError:
            if stopping.code is None:
                raise
            result = None
        finally:
            if self._messages:
                await asyncio.gather(*self._messages, return_exceptions=True)
            self._events.close()  # before an error that ends the run is told on the same stream
        return self._cut_short(stopping.code or Exit.INTERRUPTED) if result is None else self._finished(result)

    def _listen(self, event: Event) -> None:
        if event.event == "run_started":  # before that there is nothing to go on with, and nobody to be told
            self._invocation.thread = event.thread
            self._invocation.resumable = True
        self._events(event)

    def _show(self, event: Event) -> None:
        if self._invocation.json:
            self._lines.listen(event)
        if self._display:
            self._display.listen(event)

    def _listen_to_keys(self, stack: ExitStack, stopping: StopRequests) -> None:
        if self._display is None or not sys.stderr.isatty() or not in_foreground(sys.stdin):
            return
        raw = not self._quiet

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

    def _cut(self, work: asyncio.Future[RunResult]) -> None:
        if self._display:
            self._display.stopping = "stopping immediately"
        work.cancel()

    def _ask_to_stop(self, work: asyncio.Future[RunResult], by: str) -> None:
        if self._display:
            self._display.stopping = "stopping at the next step · Ctrl-C again to stop immediately"
        if self._waits_for_answer() or not self._invocation.thread:
            work.cancel()  # no step is under way; a question is asked again when the thread is resumed
        else:
            self._send("pause", "", author=by)

    def _waits_for_answer(self) -> bool:
        return self._answer is not None and not self._answer.done()

    async def _ask(self, question: UserQuestion) -> str:
        async with self._asking:
            await self._events.flushed()  # the question itself is an event
            self._answer = waiting = asyncio.get_running_loop().create_future()
            if self._display and self._display.typed:
                self._begun_before = self._display.steers = True
                self._say("the line you are typing is still sent to the run; your next line is the answer")
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
            self._say("the run has not started yet")
            return
        if text:
            self._say(f"> {text}")
        task = asyncio.ensure_future(self._post(thread, author, kind, text))
        self._messages.add(task)
        task.add_done_callback(self._sent)

    async def _post(self, thread: str, author: str, kind: str, text: str) -> None:
        inbox = inbox_of(self._prepared.spec.repo, thread, self._redactor)
        await inbox.put(thread, kind=kind, author=author, text=text)

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
        if self._invocation.json:
            self._lines.finish(thread=thread, status=str(ThreadStatus.INTERRUPTED), exit_code=int(code))
            self._invocation.result_written = True
        text = "stopped; progress up to the last step is saved" if thread else "stopped before it started"
        return _with_last_words(lambda: print(text, file=sys.stderr), int(code))

    def _finished(self, outcome: RunResult) -> int:
        code = outcome.exit_code  # also after Ctrl-C: a run that ended before it could stop did not stop
        self._invocation.thread = outcome.thread_id
        self._invocation.resumable = not outcome.status.finished
        if outcome.status is ThreadStatus.BUDGET:
            budget = self._prepared.spec.settings.budget
            self._invocation.raised = raised(budget)
            if "max_model_calls" in outcome.hint and budget.max_model_calls:
                self._invocation.environment = f"ROLECALL_BUDGET__MAX_MODEL_CALLS={budget.max_model_calls * 2}"
        if self._invocation.json:
            self._lines.finish(thread=outcome.thread_id, **outcome.event())
            self._invocation.result_written = True
            return code
        return _with_last_words(lambda: print_outcome(outcome, code, self._invocation), code)


def _with_last_words(say: Callable[[], None], code: int) -> int:
    """Say how it ended, if the output is still open; the exit code shows it in any case."""
    try:
        say()
    except OSError:
        stop_writing()
    return code


async def drive(request: StartRequest | ResumeRequest | ContinueRequest, invocation: Invocation, *, quiet: bool) -> int:
    """Do what is asked for in the terminal; returns the exit code.

    Args:
        request: What is to be done.
        invocation: The call of the command line.
        quiet: Show questions and warnings only.
    """
    prepared = await prepare(request, on_thread=invocation.about, on_warning=warn)
    return await TerminalRun(invocation, prepared, quiet=quiet).live()
