"""No connection to a model server outlives the registry that opened it."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.errors import ModelError
from llm_registry.registry import Registry
from tests.modelserver.faults import Fault
from tests.modelserver.info import Shape
from tests.modelserver.reply import Reply, fail, say
from tests.modelserver.server import ModelServer
from tests.unit.llm_registry.rig import HELLO, SITE, chat_spec, registry

PATIENT = {"connect": 10.0, "first_token": 60.0, "idle": 60.0}
"""The client's types are built during the first calls, which takes long on a busy machine."""
SHORT = {"first_token": 0.4, "idle": 0.4}
HANGS = (Fault.HANG_BEFORE_HEADERS, Fault.HANG_AFTER_FIRST_TOKEN)
SPECS: dict[str, Callable[[ModelServer], dict[str, Any]]] = {
    "chat": lambda server: chat_spec(server, api="chat"),
    "responses": lambda server: chat_spec(server, api="responses"),
    "ollama": lambda server: chat_spec(server.url, provider="ollama", api="auto"),
}


def connections(server: ModelServer) -> list[Any]:
    """Ours to the server, the server's own ends left out."""
    return [one for one in psutil.Process().net_connections("tcp") if one.raddr and one.raddr.port == server.port]


@pytest.fixture(params=SPECS)
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@asynccontextmanager
async def opened(protocol: str, server: ModelServer, folder: Path, **timeouts: float) -> AsyncIterator[Registry]:
    """A registry that, once it is closed, must have closed its connections too, without the garbage collector."""
    spec = {**SPECS[protocol](server), "timeouts": {**PATIENT, **timeouts}}
    gc.collect()
    gc.disable()
    try:
        async with registry({"primary": spec}, folder) as models:
            yield models
        # A transport closes its socket in the loop's next rounds.
        await asyncio.sleep(0.01)
        assert connections(server) == []
    finally:
        gc.enable()


def serving(protocol: str, reply: Reply) -> ModelServer:
    shape = Shape.OLLAMA if protocol == "ollama" else Shape.OPENAI
    return ModelServer(lambda _: reply, shape=shape, keep_alive=True)


async def test_first_calls_made_at_once_leave_no_connection(protocol: str, tmp_path: Path) -> None:
    with serving(protocol, say("hi")) as server:
        async with opened(protocol, server, tmp_path) as models:
            replies = await asyncio.gather(*(models.chat("primary", HELLO, site=SITE) for _ in range(4)))
            assert {reply.text for reply in replies} == {"hi"}
            assert connections(server)


@pytest.mark.parametrize("fault", [*HANGS, Fault.ERROR_IN_STREAM, Fault.INVALID_SSE, Fault.SERVER_ERROR_HTML])
async def test_failed_calls_leave_no_connection(protocol: str, fault: Fault, tmp_path: Path) -> None:
    with serving(protocol, fail(fault)) as server:
        async with opened(protocol, server, tmp_path, **(SHORT if fault in HANGS else {})) as models:
            with pytest.raises(ModelError):
                await models.chat("primary", HELLO, site=SITE)


async def test_calls_given_up_leave_no_connection(protocol: str, tmp_path: Path) -> None:
    with serving(protocol, fail(Fault.HANG_AFTER_FIRST_TOKEN)) as server:
        async with opened(protocol, server, tmp_path) as models:
            calls = [asyncio.create_task(models.chat("primary", HELLO, site=SITE)) for _ in range(3)]
            while len(server.requests) < 3:
                await asyncio.sleep(0.01)
            for call in calls:
                call.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*calls)
