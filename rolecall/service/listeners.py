"""Events on their way from a run to its listeners: queued, so that no listener can hold up the run."""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from core.events import Event

_JOIN_S = 0.2


class QueuedListener:
    """Passes events on in order, from its own thread.

    Args:
        listen: Gets each event; may take as long as it likes.
    """

    def __init__(self, listen: Callable[[Event], None]) -> None:
        self._listen = listen
        self._waiting: SimpleQueue[Event | Callable[[], object] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._fault: Exception | None = None

    def __call__(self, event: Event) -> None:
        """Take an event; never blocks."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._hand_on, name="events", daemon=True)
            self._thread.start()
        self._waiting.put(event)

    async def flushed(self) -> None:
        """Wait until all events so far are delivered, without blocking the event loop."""
        if self._thread is not None:
            loop, reached = asyncio.get_running_loop(), asyncio.Event()
            self._waiting.put(lambda: loop.call_soon_threadsafe(reached.set))
            await reached.wait()

    def close(self) -> None:
        """Wait until everything is delivered, for as long as the listener takes.

        Raises:
            Exception: What the listener raised first; it got no events after that.
        """
        if self._thread is not None:
            self._waiting.put(None)
            while self._thread.is_alive():
                self._thread.join(_JOIN_S)  # in slices, so that Ctrl-C is heard
            self._thread = None
        if self._fault is not None:
            raise self._fault

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.flushed()
        if error is None:
            self.close()

    def _hand_on(self) -> None:
        while (item := self._waiting.get()) is not None:
            if not isinstance(item, Event):
                item()
            elif self._fault is None:
                try:
                    self._listen(item)
                except Exception as fault:  # noqa: BLE001 - raised where the events end
                    self._fault = fault
