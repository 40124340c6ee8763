"""The life of GGUF servers: started on demand, shared, replaced when dead, gone when idle."""

import asyncio
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest
from langchain_core.messages import HumanMessage

from core.config.settings import ModelSpec
from core.errors import ModelError
from core.replies import CallSite
from llm_registry.gguf.folder import is_alive
from llm_registry.gguf.server import ensure_server, options_of
from tests.gguf_servers import running_servers, stop_server
from tests.servers.conftest import MakeSpec, Open

pytestmark = pytest.mark.servers
ASK = """
import asyncio, sys
from core.config.settings import ModelSpec
from llm_registry.gguf.server import ensure_server
print(asyncio.run(ensure_server(ModelSpec.model_validate_json(sys.argv[1]))))
"""


@pytest.fixture
def own(tiny_model: Path, tmp_path: Path, spec: MakeSpec) -> MakeSpec:
    """A spec for a copy of the file, so that no other test's server is touched."""
    copy = tmp_path / "own.gguf"
    shutil.copy(tiny_model, copy)

    def make(**options: object) -> ModelSpec:
        return spec(options={"path": str(copy), **options})

    return make


async def test_processes_share_one_server(own: MakeSpec) -> None:
    given = own().model_dump_json()
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", ASK, given, stdout=asyncio.subprocess.PIPE)
        for _ in range(3)
    ]
    told = [(await process.communicate())[0].decode().strip() for process in processes]
    assert len(set(told)) == 1
    # Its starters are gone, the server is not.
    assert await ensure_server(own()) == told[0]
    assert await stop_server(own())
    assert not await stop_server(own())


async def test_other_options_are_another_server(own: MakeSpec) -> None:
    urls = {await ensure_server(own()), await ensure_server(own(num_ctx=1024))}
    assert len(urls) == 2
    assert await stop_server(own())
    assert await stop_server(own(num_ctx=1024))


async def test_a_replaced_file_is_another_server(own: MakeSpec) -> None:
    before = options_of(own())
    path = before.path
    old = before.key
    os.utime(path, (1, 1))
    assert options_of(own()).key != old


async def test_threads_are_limited(own: MakeSpec) -> None:
    await ensure_server(own(threads=1))
    (server,) = [one for one in await running_servers() if one.path.endswith("own.gguf")]
    arguments = psutil.Process(server.pid).cmdline()
    assert json.loads(arguments[-1])["threads"] == 1
    assert options_of(ModelSpec(provider="gguf", model="x.gguf")).threads <= max((os.cpu_count() or 2) // 2, 1)
    await stop_server(own(threads=1))


async def test_an_idle_server_ends_and_the_next_call_starts_it_again(opened: Open, own: MakeSpec) -> None:
    site = CallSite(node="summarize")
    quick = own(idle_s=2)
    async with opened(summarizer=quick) as registry:
        first = await registry.chat("summarizer", [HumanMessage("one")], site=site)
        (server,) = [one for one in await running_servers() if one.path.endswith("own.gguf")]
        deadline = time.monotonic() + 30
        while is_alive(server) and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        assert not is_alive(server)
        assert [one for one in await running_servers() if one.path.endswith("own.gguf")] == []
        second = await registry.chat("summarizer", [HumanMessage("two")], site=site)
    assert first.text == second.text == "Hello from the tiny model."
    await stop_server(quick)


async def test_a_busy_server_does_not_end(opened: Open, own: MakeSpec) -> None:
    busy = own(idle_s=2)
    async with opened(summarizer=busy) as registry:
        await ensure_server(busy)
        (server,) = [one for one in await running_servers() if one.path.endswith("own.gguf")]
        ends = time.monotonic() + 5
        while time.monotonic() < ends:
            await registry.chat("summarizer", [HumanMessage("go [[long]]")], site=CallSite())
        assert is_alive(server)
    await stop_server(busy)


async def test_a_killed_server_is_replaced_under_a_running_registry(opened: Open, own: MakeSpec) -> None:
    async with opened(summarizer=own()) as registry:
        await registry.chat("summarizer", [HumanMessage("one")], site=CallSite())
        (server,) = [one for one in await running_servers() if one.path.endswith("own.gguf")]
        os.kill(server.pid, signal.SIGKILL)
        reply = await registry.chat("summarizer", [HumanMessage("two")], site=CallSite())
    assert reply.text == "Hello from the tiny model."
    await stop_server(own())


async def test_another_process_with_its_pid_is_not_taken_for_it(own: MakeSpec, server_folder: Path) -> None:
    await ensure_server(own())
    key = options_of(own()).key
    state_file = server_folder / "gguf" / f"{key}.json"
    state = json.loads(state_file.read_text(encoding="utf-8"))
    await stop_server(own())
    state_file.write_text(json.dumps({**state, "pid": os.getpid()}), encoding="utf-8")
    url = await ensure_server(own())
    assert url.startswith("http://127.0.0.1:")
    assert psutil.pid_exists(os.getpid())
    await stop_server(own())


async def test_a_broken_file_says_so(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(ModelError, match=r"broken\.gguf exited while loading"):
        await ensure_server(ModelSpec(provider="gguf", model=str(broken)))


async def test_what_is_no_gguf_file_is_not_started(tmp_path: Path) -> None:
    prose = tmp_path / "notes.gguf"
    prose.write_text("these are my notes", encoding="utf-8")
    with pytest.raises(ModelError, match="is not a GGUF file"):
        await ensure_server(ModelSpec(provider="gguf", model=str(prose)))
    with pytest.raises(ModelError, match="cannot read"):
        await ensure_server(ModelSpec(provider="gguf", model=str(tmp_path / "absent.gguf")))
