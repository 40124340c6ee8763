"""What a server remembers of its callers: requests, calls in flight, errors, abandoned calls.

Owns counting only. Written by the server's thread, read by the test's.
"""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.modelserver.request import ModelRequest


class Record:
    """The memory of one server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now: Counter[str] = Counter()
        self._most: Counter[str] = Counter()
        self._calls_now = 0
        self.requests: list[ModelRequest] = []
        """Every call of a model, in order of arrival."""
        self.hits: Counter[str] = Counter()
        """Requests by path, informative ones included."""
        self.errors: list[str] = []
        """What the script could not answer."""
        self.abandoned = 0
        """Calls whose caller hung up before the end."""
        self.cut_off: set[int] = set()
        """Which of the requests they were, by index."""
        self.max_calls_in_flight = 0
        """The most model calls at one time, over all paths."""

    @property
    def max_in_flight(self) -> Mapping[str, int]:
        """The most requests at one time, by path."""
        return dict(self._most)

    @property
    def calls_in_flight(self) -> int:
        """Model calls being answered now."""
        return self._calls_now

    @contextmanager
    def visiting(self, path: str, *, model: bool) -> Iterator[None]:
        """Count a request while it is being answered."""
        with self._lock:
            self.hits[path] += 1
            self._now[path] += 1
            self._most[path] = max(self._most[path], self._now[path])
            self._calls_now += model
            self.max_calls_in_flight = max(self.max_calls_in_flight, self._calls_now)
        try:
            yield
        finally:
            with self._lock:
                self._now[path] -= 1
                self._calls_now -= model

    def add(self, request: ModelRequest) -> None:
        """Remember a call of a model."""
        with self._lock:
            self.requests.append(request)

    def summary(self) -> dict[str, Any]:
        """The figures as JSON, for a server in another process."""
        return {
            "requests": [
                {"path": r.path, "title": r.title, "method": r.method, "model": r.model} for r in self.requests
            ],
            "hits": dict(self.hits),
            "errors": list(self.errors),
            "abandoned": self.abandoned,
            "max_in_flight": self.max_in_flight,
            "max_calls_in_flight": self.max_calls_in_flight,
        }
