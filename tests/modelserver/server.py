"""A model server in a thread of the test's process.

Owns starting, stopping and the address. What it answers is in `app`.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from aiohttp import web

from tests.modelserver.app import Endpoint
from tests.modelserver.faults import Fault
from tests.modelserver.info import Settings, Shape
from tests.modelserver.record import Record
from tests.modelserver.reply import Reply, fail
from tests.modelserver.request import ModelRequest
from tests.modelserver.script import Rule, Rules, Script, as_script

START_TIMEOUT = 10.0
"""Seconds to wait for the server's thread."""


class ModelServer:
    """A scripted server on 127.0.0.1; use it as a context manager.

    Args:
        script: a callable, one reply for every request, or replies used in order.
        settings: what the server is; keyword arguments build one.
        port: 0 takes a free one.
    """

    def __init__(
        self,
        script: Script | Reply | Sequence[Reply],
        settings: Settings | None = None,
        *,
        port: int = 0,
        **options: Any,
    ) -> None:
        self.settings = settings or Settings(**options)
        self.record = Record()
        self.port = port
        self._endpoint = Endpoint(as_script(script), self.settings, self.record)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stop: asyncio.Event | None = None
        self._failure: BaseException | None = None

    @property
    def url(self) -> str:
        """The address without a path: the `base_url` of Ollama clients."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def v1(self) -> str:
        """The `base_url` of OpenAI clients."""
        return f"{self.url}/v1"

    @property
    def requests(self) -> list[ModelRequest]:
        """Every call of a model, in order of arrival."""
        return self.record.requests

    @property
    def errors(self) -> list[str]:
        """What the script could not answer; empty in a good test."""
        return self.record.errors

    @property
    def max_in_flight(self) -> Mapping[str, int]:
        """The most requests at one time, by path."""
        return self.record.max_in_flight

    def start(self) -> Self:
        """Listen; a server that was stopped comes back on the same port, with its memory."""
        ready = threading.Event()
        self._failure = None
        self._thread = threading.Thread(target=self._run, args=(ready,), name="modelserver")
        self._thread.start()
        if not ready.wait(START_TIMEOUT):
            raise TimeoutError("the model server did not start")
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def stop(self) -> None:
        """Close the port and break off every call in flight."""
        if self._thread is None or self._loop is None or self._stop is None:
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self, ready: threading.Event) -> None:
        try:
            asyncio.run(self._serve(ready))
        except OSError as error:
            self._failure = error
            ready.set()

    async def _serve(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with listening(self._endpoint, self.port) as port:
            self.port = port
            ready.set()
            await self._stop.wait()


@contextlib.asynccontextmanager
async def listening(endpoint: Endpoint, port: int) -> Any:
    """Serve on 127.0.0.1 and yield the port; calls in flight are broken off at the end."""
    runner = web.AppRunner(endpoint.application(), handler_cancellation=True, access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def closed_port() -> int:
    """A port of 127.0.0.1 on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def faulty(
    fault: Fault,
    reply: Reply | None = None,
    *,
    times: int | None = None,
    shape: Shape = Shape.OPENAI,
    **options: Any,
) -> Iterator[ModelServer]:
    """A server that misbehaves in one way, always or the first `times` calls.

    For `Fault.REFUSED` the server is not started: its address refuses connections.

    Args:
        fault: the way.
        reply: what a good server says, and this one does after `times`.
        times: how many calls misbehave; None for all.
        shape: which server it looks like.
        options: further `Settings`.
    """
    good = reply or Reply(text="The answer is forty-two.")
    script = Rules([Rule(fail(fault, good), times=times)], lambda _: good)
    server = ModelServer(script, shape=shape, **options)
    if fault is Fault.REFUSED:
        server.port = closed_port()
        yield server
        return
    with server:
        yield server
