"""The edge of the program: the one place where errors become text and an exit code. It decides nothing else."""

import os
import sys
import traceback
from collections.abc import Callable

from core.errors import Exit, LockedError, RolecallError, ThreadError, UsageError
from core.events import Event
from core.storage.storage_errors import storage_error
from rolecall.invocation import Invocation
from rolecall.output.event_text import hanging_indent
from rolecall.output.jsonl import write_json_line


def run_guarded(action: Callable[[], int], invocation: Invocation) -> int:
    """Run a command; show what goes wrong; return the exit code.

    Every code but 0 comes with the command that continues.
    """
    code = int(Exit.DONE)
    try:
        try:
            code = action()
            sys.stdout.flush()
        except Exception as error:
            if isinstance(error, BrokenPipeError):
                raise
            shown = storage_error(error) or error
            code = int(shown.exit_code if isinstance(shown, RolecallError) else Exit.INTERNAL)
            _explain(shown, invocation)
        except KeyboardInterrupt:
            code = int(Exit.INTERRUPTED)
            _show(invocation, "interrupted", "interrupted by you", "")
        if code != Exit.DONE:
            _finish(invocation, code)
        sys.stderr.flush()
    except OSError:
        stop_writing()  # the terminal is gone, or the reader has seen enough (`| head`); the code still counts
    return code


def stop_writing() -> None:
    """Discard further output, so that the interpreter reports no error on exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())


def _explain(error: Exception, invocation: Invocation) -> None:
    if not isinstance(error, RolecallError):
        again = "run it again with --debug to see where it happened"
        kept = f"`{invocation.on_thread('log')}` shows where it happened" if invocation.thread else again
        _show(invocation, "internal", _internal(error), kept)
        return
    if isinstance(error, LockedError) and invocation.thread:
        invocation.next_command = invocation.on_thread("watch")  # the same again would only find it driven again
    if isinstance(error, ThreadError) and not invocation.thread:
        repo = ("--repo", invocation.repo) if invocation.repo else ()
        invocation.next_command = invocation.call("threads", "list", *repo)
    _show(invocation, error.code, error.message, error.hint)


def _internal(error: Exception) -> str:
    text = str(error) or "no message"
    return f"internal error in rolecall: {type(error).__name__}: {text}"


def _show(invocation: Invocation, code: str, message: str, hint: str) -> None:
    if invocation.debug:
        print(_presentable(traceback.format_exc()), file=sys.stderr, end="")
    message, hint = _presentable(message), _presentable(hint)
    if invocation.json:
        said = {"code": code, "message": message, "hint": hint}
        write_json_line(Event(event="error", thread=invocation.thread, data=said).flat())
    print(f"error[{code}]: {hanging_indent(invocation.named(message))}", file=sys.stderr)
    if hint:
        print(f"hint: {hanging_indent(invocation.named(hint))}", file=sys.stderr)


def _presentable(text: str) -> str:
    """An error's text without secrets: its author may not have known what it contained."""
    from core.known_secrets import environment_secrets
    from core.redaction import Redactor, redact, without_query

    return without_query(redact(Redactor(environment_secrets()).clean(text)))


def _finish(invocation: Invocation, code: int) -> None:
    wrong_call = code == UsageError.exit_code and not invocation.thread
    command = invocation.continuation(usage=wrong_call)
    if invocation.json and invocation.streams and not invocation.result_written:
        ended = {"status": "error", "exit_code": code, "resume": command}
        write_json_line(Event(event="result", thread=invocation.thread, data=ended).flat())
    print(f"continue with: {command}", file=sys.stderr)
