"""Waits for third-party work that may hang or raise anything, without letting it take the run down."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")

GRACE_S = 10.0
"""Seconds that work may take to clean up after it is told to stop; after that, it is abandoned."""


class EscapedError(Exception):
    """Something was raised that would end more than the work, such as `SystemExit`, which is the cause."""


async def contained(work: Awaitable[T], timeout_s: float | None = None) -> T:
    """The result of some work; cancelling the wait cancels the work.

    Args:
        work: Run in its own task.
        timeout_s: Seconds it may take; `None` for no limit.

    Raises:
        TimeoutError: It took longer, and was told to stop.
        EscapedError: It raised something other than an `Exception`, or a cancellation no one asked for.
        KeyboardInterrupt: Passed on: it comes from the user.
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
    """The result of some work, raising only `Exception`s: in a task, others would stop the event loop.

    Raises:
        EscapedError: It raised anything else, or a cancellation no one asked for.
        KeyboardInterrupt: Passed on: it comes from the user.
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
