"""Lets verbs that run no graph be plain functions, whether or not an event loop runs around them."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def blocking(verb: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Make a verb a plain function that blocks until it is done; within an event loop it runs in a thread of its own.

    A server should call plain verbs with `asyncio.to_thread`.
    """

    @functools.wraps(verb)
    def plain(*args: P.args, **kwargs: P.kwargs) -> T:
        work = verb(*args, **kwargs)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(work)
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, work).result()

    return plain
