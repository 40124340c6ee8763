"""Lets verbs that drive no graph be plain functions, whether or not an event loop runs around them."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def finished(work: Coroutine[Any, Any, T]) -> T:
    """Do the work and return what came of it; within an event loop, as in a notebook, in a thread of its own.

    A server should call plain verbs with `asyncio.to_thread`: they block until they are done.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
