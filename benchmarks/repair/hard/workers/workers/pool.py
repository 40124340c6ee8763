"""A small pool of threads."""

import queue
import threading
from collections.abc import Callable, Iterable
from typing import Any

_END = object()


class Pool:
    """Runs jobs on threads; `close` waits until all of them are done."""

    def __init__(self, size: int = 2) -> None:
        self.jobs: queue.Queue[Any] = queue.Queue()
        self.results: queue.Queue[tuple[int, Any]] = queue.Queue()
        self.threads = [threading.Thread(target=self._work, daemon=True) for _ in range(size)]
        for thread in self.threads:
            thread.start()

    def _work(self) -> None:
        while True:
            job = self.jobs.get()
            if job is _END:
                return
            number, call, argument = job
            self.results.put((number, call(argument)))

    def map(self, call: Callable[[Any], Any], arguments: Iterable[Any]) -> list[Any]:
        """Return the results in the order of the arguments."""
        count = 0
        for argument in arguments:
            self.jobs.put((count, call, argument))
            count += 1
        found = [self.results.get() for _ in range(count)]
        return [value for _, value in sorted(found, key=lambda pair: pair[0])]

    def close(self) -> None:
        for _ in self.threads:
            self.jobs.put(_END)
        for thread in self.threads:
            thread.join()
