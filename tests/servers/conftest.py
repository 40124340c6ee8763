"""Real model servers for the tests: a model made on the spot, a private folder, nothing left running."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import psutil
import pytest
from langchain_core.tools import tool
from pydantic import BaseModel

from core.config.settings import ModelSpec, Settings
from core.storage.database import Database
from llm_registry.gguf.folder import kill_server
from llm_registry.gguf.server import ensure_server
from llm_registry.registry import Registry, open_registry
from tests.gguf_servers import running_servers
from tests.servers.kinds import CONTEXT, LLAMA_CPP, Kind, Models, RealServer, running
from tests.servers.tiny_checkpoint import write_tiny_checkpoint
from tests.servers.tiny_model import write_tiny_model

Open = Callable[..., AbstractAsyncContextManager[Registry]]
MakeSpec = Callable[..., ModelSpec]
Start = Callable[[Kind], RealServer]


@tool
def get_weather(city: str) -> str:
    """Say how warm it is in a city."""
    return f"18 degrees in {city}"


class Person(BaseModel):
    """An object to ask for."""

    name: str
    age: int
    tags: list[str]


class Heard:
    """Keeps every event."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def emit(self, event: str, /, **data: Any) -> None:
        self.events.append((event, data))

    def named(self, name: str) -> list[dict[str, Any]]:
        return [data for event, data in self.events if event == name]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("xllamacpp", reason="the extra `gguf` is not installed")
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny.gguf")


@pytest.fixture(scope="session", autouse=True)
def server_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Servers are shared between the tests, as they are between runs, and ended after the last one."""
    folder = tmp_path_factory.mktemp("state")
    before = os.environ.get("ROLECALL_STATE_DIR")
    os.environ["ROLECALL_STATE_DIR"] = str(folder)
    yield folder
    left = asyncio.run(running_servers())
    for server in left:
        kill_server(server)
    if before is None:
        del os.environ["ROLECALL_STATE_DIR"]
    else:
        os.environ["ROLECALL_STATE_DIR"] = before
    assert not [server for server in left if psutil.pid_exists(server.pid) and _runs(server.pid)]


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def spec(tiny_model: Path) -> MakeSpec:
    def make(**more: Any) -> ModelSpec:
        options = {"path": str(tiny_model), "threads": 1, "idle_s": 120, **more.pop("options", {})}
        return ModelSpec(**{"provider": "gguf", "temperature": 0, "context_length": 4096, "options": options, **more})

    return make


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def opened(tmp_path: Path, heard: Heard, server_folder: Path) -> Open:
    """Opens a registry whose roles are the given specs."""

    def open_with(**roles: ModelSpec | str) -> AbstractAsyncContextManager[Registry]:
        llm = {name: role if isinstance(role, str) else role.model_dump() for name, role in roles.items()}
        settings = Settings.model_validate({"llm": llm})
        return open_registry(
            settings,
            thread_id="t1",
            database=Database(tmp_path / "rolecall.db"),
            events=heard,
            state_dir=tmp_path / "state",
        )

    return open_with


@pytest.fixture
async def address(spec: MakeSpec) -> str:
    """The shared server's base URL, for clients that speak to it as to any other server."""
    return await ensure_server(spec())


@pytest.fixture(scope="session")
def models(tiny_model: Path, server_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Models:
    """The tiny model in all its forms, and a llama.cpp server of its own for proxies to stand before."""
    options = {"path": str(tiny_model), "threads": 1, "idle_s": 600}
    upstream = ModelSpec(provider="gguf", context_length=CONTEXT, max_concurrency=2, options=options)
    folder = write_tiny_checkpoint(tmp_path_factory.mktemp("checkpoint"), context=CONTEXT)
    return Models(tiny_model, folder, asyncio.run(ensure_server(upstream)))


@pytest.fixture(scope="session")
def start(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts a server when the first test asks for its kind, and ends all after the last test."""
    started: dict[str, RealServer] = {}
    with contextlib.ExitStack() as stack:

        def once(kind: Kind) -> RealServer:
            if kind is LLAMA_CPP:
                return RealServer(kind, models.upstream, "tiny", None)
            if kind.name not in started:
                started[kind.name] = stack.enter_context(running(kind, models, tmp_path_factory.mktemp(kind.name)))
            return started[kind.name]

        yield once
