"""The edge of the program: the one place where errors become text and an exit code. It decides nothing else."""

import os
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime

from core.errors import Exit, RolecallError, ThreadError, UsageError
from rolecall.invocation import Invocation
from rolecall.jsonl import write_line


def guarded(action: Callable[[], int], invocation: Invocation) -> int:
    """Run a command; show what goes wrong; return the exit code.

    Every code but 0 comes with the command that continues.
    """
    try:
        code = action()
        sys.stdout.flush()
    except RolecallError as error:
        code = int(error.exit_code)
        if isinstance(error, ThreadError) and not invocation.thread:
            repo = ("--repo", invocation.repo) if invocation.repo else ()
            invocation.next_command = invocation.call("threads", "list", *repo)
        _show(invocation, error.code, error.message, error.hint)
    except KeyboardInterrupt:
        code = int(Exit.INTERRUPTED)
        _show(invocation, "interrupted", "interrupted by you", "")
    except BrokenPipeError:
        # The reader has seen enough (`| head`); the interpreter must not complain about it while it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Exit.DONE)
    except Exception as error:  # noqa: BLE001 - nothing may reach the user as a traceback
        code = int(Exit.INTERNAL)
        _show(invocation, "internal", _internal(error), "run it again with --debug to see where it happened")
    if code != Exit.DONE:
        _finish(invocation, code)
    return code


def _internal(error: Exception) -> str:
    text = str(error) or "no message"
    return f"something unexpected happened inside rolecall: {type(error).__name__}: {text}"


def _show(invocation: Invocation, code: str, message: str, hint: str) -> None:
    if invocation.debug:
        traceback.print_exc()
    if invocation.json:
        write_line(_record(invocation, "error", code=code, message=message, hint=hint))
    print(f"error[{code}]: {invocation.named(message)}", file=sys.stderr)
    if hint:
        print(f"hint: {invocation.named(hint)}", file=sys.stderr)


def _finish(invocation: Invocation, code: int) -> None:
    wrong_call = code == UsageError.exit_code and not invocation.thread
    command = invocation.continuation(usage=wrong_call)
    if invocation.json and invocation.streams and not invocation.result_written:
        write_line(_record(invocation, "result", status="error", exit_code=code, resume=command))
    print(f"continue with: {command}", file=sys.stderr)


def _record(invocation: Invocation, event: str, **data: object) -> dict[str, object]:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return {"v": 1, "ts": now, "thread": invocation.thread, "event": event, **data}
