"""Waits for work of others that may hang or raise anything, without letting it take the run along."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")

GRACE_S = 10.0
"""Seconds in which what was told to stop may put its things in order; afterwards nobody waits for it."""


class EscapedError(Exception):
    """Something was raised that would end more than the work, such as `SystemExit`; it is the cause."""


async def contained(work: Awaitable[T], timeout_s: float | None = None) -> T:
    """The result of some work; whoever cancels the wait cancels the work.

    Args:
        work: Run in a task of its own.
        timeout_s: Seconds it may take; `None` for as long as it wants.

    Raises:
        TimeoutError: It took longer, and was told to stop.
        EscapedError: It raised what is no `Exception`, or said it was cancelled though nobody did.
        KeyboardInterrupt: As it came: that is the user.
    """
    task = asyncio.create_task(_caught(work))
    try:
        done, _ = await asyncio.wait({task}, timeout=timeout_s)
    except asyncio.CancelledError:
        await _stop(task)
        raise
    if not done:
        await _stop(task)
        message = f"no answer within {timeout_s:g} s"
        raise TimeoutError(message)
    result, error = task.result()
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # one of the two is there


async def kept_in(work: Awaitable[T]) -> T:
    """The result of some work, whose exceptions are `Exception`s: in a task, others would stop the event loop.

    Raises:
        EscapedError: It raised what is none, or said it was cancelled though nobody did.
        KeyboardInterrupt: As it came: that is the user.
    """
    try:
        return await work
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise _escaped(error) from error
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise _escaped(error) from error


async def _caught(work: Awaitable[T]) -> tuple[T | None, BaseException | None]:
    try:
        return await kept_in(work), None
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - raised again by whoever waits
        return None, error


def _escaped(error: BaseException) -> EscapedError:
    return EscapedError(f"{type(error).__name__}: {error}")


async def _stop(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    await asyncio.wait({task}, timeout=GRACE_S)
