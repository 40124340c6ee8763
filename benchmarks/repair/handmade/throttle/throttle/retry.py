"""Trying again."""

import asyncio


def delays(first=1.0, factor=2.0, longest=30.0, attempts=5):
    """Yield the pauses between attempts: one less than attempts."""
    pause = first
    for _ in range(attempts - 1):
        yield min(pause, longest)
        pause *= factor


async def retry(action, pauses, only=(OSError,), sleep=asyncio.sleep):
    """Await `action()` until it works; the last error is raised when pauses run out."""
    pauses = iter(pauses)
    while True:
        try:
            return await action()
        except only:
            pause = next(pauses, None)
            if pause is None:
                raise
        await sleep(pause)
