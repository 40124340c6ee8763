"""A real `langgraph dev`, offline, on the database of the command line."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

from core.storage.database import database_of
from graph.acquire import acquire_thread
from graph.context_factory import RunSpec, open_context
from graph.runner import open_graph
from graph.store.thread_store import ThreadStore
from rolecall.commands.studio import served_config
from rolecall.web.http_guard import client_url
from rolecall.web.studio_graph import STUDIO_ORIGIN, TOKEN_VARIABLE
from tests.integration.jobs import do, go_on, read, red_repository, settings_with
from tests.repositories import git, thread
from tests.unit.rolecall.command_line import rolecall

TOKEN = "t0ken-of-this-server"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return red_repository(tmp_path / "repo")


@dataclass(frozen=True)
class Studio:
    repo: Path
    url: str
    """With the token, as the command prints it."""
    address: str
    """Without."""
    process: "subprocess.Popen[bytes]"
    command: list[str]
    log: Path


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(autouse=True)
def own_state(state: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the server that several tests share keeps for its user is theirs too."""
    monkeypatch.setenv("ROLECALL_STATE_DIR", str(state))
    return state


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, state: Path) -> Iterator[Studio]:
    """One server for the tests that look at threads of their own only: each start costs ten seconds."""
    folder = tmp_path_factory.mktemp("studio")
    with serving(red_repository(folder / "repo"), folder, state) as studio:
        yield studio


@contextmanager
def serving(repo: Path, folder: Path, state: Path) -> Iterator[Studio]:
    port = free_port()
    (folder / "config.json").write_text("{}")
    env = {
        **os.environ,
        TOKEN_VARIABLE: TOKEN,
        "ROLECALL_STATE_DIR": str(state),
        "ROLECALL_CONFIG": str(folder / "config.json"),
        "ROLECALL_SANDBOX__MODE": "host",
    }
    command = [sys.executable, "-m", "rolecall", "studio", "--port", str(port), "--repo", str(repo)]
    log = (folder / "server.log").open("w")
    process = subprocess.Popen(command, env=env, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{address}/ok", process, folder / "server.log")
        yield Studio(repo, client_url(address, TOKEN), address, process, command, folder / "server.log")
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
        log.close()


def wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url, timeout=10).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    pytest.fail(f"the server did not start: {log.read_text()[-2000:]}")


def shown(repo: Path, *words: str) -> str:
    done = rolecall(*words, cwd=repo)
    assert done.code == 0, done.err
    return done.out


async def test_a_thread_of_the_command_line_is_visible_and_a_new_one_can_be_stepped(shared: Studio) -> None:
    repo, server = shared.repo, shared.url
    made = await do(repo, "Make the failing tests pass")
    async with get_client(url=server) as client:
        await client.threads.create(thread_id=made.thread_id, graph_id="rolecall", if_exists="do_nothing")
        seen = await client.threads.get_state(made.thread_id)
        assert seen["values"]["report"]["status"] == "done"
        history = await client.threads.get_history(made.thread_id, limit=20)
        assert ["plan"] in [entry["next"] for entry in history]

        made_here = (await client.threads.create(graph_id="rolecall"))["thread_id"]
        task = {"task": "Make the failing tests pass"}
        async for _ in client.runs.stream(made_here, "rolecall", input=task, interrupt_before=["plan"]):
            pass
        other = (await client.threads.create(graph_id="rolecall"))["thread_id"]  # in the same minute
        parts = [part async for part in client.runs.stream(other, "rolecall", input={"task": "Add a function slugify"})]
        assert parts[-1].event == "error"
        row = await ThreadStore(database_of(repo)).find(other)
        assert (row.status, row.exit_code) == ("needs_model", 4)
        state = await client.threads.get_state(made_here)
        assert state["next"] == ["plan"]
        assert state["values"]["scope"]["acceptance_criteria"]
        stopped = await ThreadStore(database_of(repo)).find(made_here)
        assert (stopped.task, stopped.status, stopped.exit_code) == (task["task"], "paused", 130)
        async for part in client.runs.stream(made_here, "rolecall", input=None):
            assert part.event != "error", part.data
        state = await client.threads.get_state(made_here)
        assert state["values"]["report"]["status"] == "done"
        assert git(repo, "diff", "--name-only", "HEAD", f"rolecall/{made_here[-8:]}") == "inventory/items.py"
        ended = await ThreadStore(database_of(repo)).find(made_here)
        assert (ended.branch, ended.status, ended.exit_code) == (f"rolecall/{made_here[-8:]}", "done", 0)
        told = await asyncio.to_thread(shown, repo, "log", made_here)
        assert f"started    {task['task']}" in told
        assert "implement  coder → embedded" in told
        assert "+" in await asyncio.to_thread(shown, repo, "diff", made_here)
        assert "deleted" in await asyncio.to_thread(shown, repo, "threads", "delete", made_here, "--yes")


async def listed_by(client: LangGraphClient) -> list[str]:
    return [one["thread_id"] for one in await client.threads.search(limit=100)]


async def until_listed(client: LangGraphClient, thread: str, status: str) -> dict[str, Any]:
    for _ in range(60):
        found = [one for one in await client.threads.search(limit=100) if one["thread_id"] == thread]
        if found and found[0]["status"] == status:
            return dict(found[0])
        await asyncio.sleep(0.5)
    pytest.fail(f"{thread} is not listed as {status}")


async def test_threads_of_the_command_line_are_listed_while_the_server_runs(shared: Studio) -> None:
    repo, server = shared.repo, shared.url
    ident = thread()
    config = {"configurable": {"thread_id": ident}}
    async with get_client(url=server) as client:
        assert ident not in await listed_by(client)
        task = "Make the failing tests pass"
        async with acquire_thread(RunSpec(ident, repo, settings_with()), task) as driven:
            async with open_graph(settings_with(), database_of(repo)) as graph:
                await graph.ainvoke({"task": task}, config, context=driven.context, interrupt_before=["implement"])
            busy = await until_listed(client, ident, "busy")
            await driven.store.set_status(ident, "paused", exit_code=130)
        assert (busy["metadata"]["task"], busy["values"]["task"]) == (task, task)
        paused = await until_listed(client, ident, "interrupted")
        assert paused["metadata"]["rolecall_status"] == "paused"
        assert paused["values"]["plan"]["milestones"]
        assert (await go_on(repo, ident)).status == "done"
        done = await until_listed(client, ident, "idle")
        assert done["values"]["report"]["status"] == "done"
        await asyncio.to_thread(shown, repo, "threads", "delete", ident, "--yes")
        for _ in range(60):
            if ident not in await listed_by(client):
                return
            await asyncio.sleep(0.5)
        pytest.fail("a deleted thread is listed still")


async def test_plain_langgraph_dev_in_the_repository_lists_its_threads(repo: Path, tmp_path: Path) -> None:
    made = await do(repo, "Make the failing tests pass")
    served = repo / "langgraph.json"
    served.write_text(json.dumps(served_config()))
    port = free_port()
    env = {**os.environ, TOKEN_VARIABLE: TOKEN, "LANGGRAPH_NO_VERSION_CHECK": "true"}
    words = ["dev", "--no-reload", "--no-browser", "--host", "127.0.0.1", "--port", str(port)]
    with (tmp_path / "dev.log").open("w") as log:
        command = [sys.executable, "-P", "-m", "langgraph_cli", *words]
        process = subprocess.Popen(command, cwd=repo, env=env, stdout=log, stderr=subprocess.STDOUT)
        try:
            await asyncio.to_thread(wait_for, f"http://127.0.0.1:{port}/ok", process, tmp_path / "dev.log")
            async with get_client(url=client_url(f"http://127.0.0.1:{port}", TOKEN)) as client:
                (listed,) = await client.threads.search()
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait, 20)
    assert (listed["thread_id"], listed["status"]) == (made.thread_id, "idle")
    assert listed["values"]["report"]["status"] == "done"


async def test_a_thread_that_stopped_at_the_command_line_goes_on_in_studio(shared: Studio) -> None:
    repo, server = shared.repo, shared.url
    ident = thread()
    async with (
        open_context(RunSpec(ident, repo, settings_with())) as context,
        open_graph(settings_with(), database_of(repo)) as graph,
    ):
        config = {"configurable": {"thread_id": ident}}
        start = {"task": "Make the failing tests pass"}
        await graph.ainvoke(start, config, context=context, interrupt_before=["implement"])
    async with get_client(url=server) as client:
        await client.threads.create(thread_id=ident, graph_id="rolecall", if_exists="do_nothing")
        async for part in client.runs.stream(ident, "rolecall", input=None):
            assert part.event != "error", part.data
        async with open_graph(settings_with(), database_of(repo)) as graph:
            state = await graph.aget_state(config)
        assert state.values["report"].status == "done"
        assert (await ThreadStore(database_of(repo)).find(ident)).status == "done"


async def test_sigterm_ends_the_server_and_a_taken_port_is_refused(repo: Path, tmp_path: Path, state: Path) -> None:
    with serving(repo, tmp_path, state) as studio:
        await is_ended_by_sigterm(studio)


async def is_ended_by_sigterm(studio: Studio) -> None:
    second = await asyncio.to_thread(subprocess.run, studio.command, capture_output=True, text=True, check=False)
    assert (second.returncode, "cannot be used" in second.stderr) == (2, True)
    studio.process.terminate()
    assert await asyncio.to_thread(studio.process.wait, 20) == 143
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{studio.address}/ok")
    told = await read(studio.log)
    assert f"0 threads are open at {studio.url}" in told
    assert "[info" not in told
    assert "[warning" not in told


async def test_no_website_can_use_the_server_and_nobody_without_its_token(shared: Studio) -> None:
    before_all = await stored_in(shared.repo)
    run = {"assistant_id": "rolecall", "input": {"task": "Make the failing tests pass"}}
    evil, key = {"Origin": "https://evil.example"}, {"x-api-key": TOKEN}
    async with httpx.AsyncClient(base_url=shared.address, timeout=30) as client:
        plain = await client.post("/runs/wait", content=json.dumps(run), headers={**evil, "Content-Type": "text/plain"})
        foreign = await client.post("/runs/wait", json=run, headers={**evil, **key})
        rebound = await client.post("/runs/wait", json=run, headers={**key, "Host": "evil.example"})
        keyless = await client.post("/runs/wait", json=run)
        before = await client.options("/runs/wait", headers={**evil, "Access-Control-Request-Method": "POST"})
        asked = {"Origin": STUDIO_ORIGIN, "Access-Control-Request-Method": "POST"}
        allowed = await client.options("/runs/wait", headers=asked)
        documents = [await client.get(path) for path in ("/docs", "/openapi.json", "/info", "/metrics", "/threads")]
        listed = await client.post("/threads/search", json={}, headers={**key, "Origin": STUDIO_ORIGIN})
    codes = [answer.status_code for answer in (plain, foreign, rebound, keyless, before)]
    assert codes == [403, 403, 421, 401, 403]
    assert {answer.status_code for answer in documents} == {401}
    assert not any("access-control-allow-origin" in answer.headers for answer in (plain, foreign, before))
    assert allowed.headers["access-control-allow-origin"] == STUDIO_ORIGIN
    assert (listed.status_code, {one["thread_id"] for one in listed.json()}) == (200, before_all)
    assert listed.headers["access-control-allow-origin"] == STUDIO_ORIGIN
    assert await stored_in(shared.repo) == before_all


async def stored_in(repo: Path) -> set[str]:
    handle = database_of(repo)
    return {row.thread_id for row in await ThreadStore(handle).list()} if handle.path.is_file() else set()


def test_the_checkout_serves_the_same_way_with_langgraph_dev() -> None:
    written = Path(__file__).parents[2] / "langgraph.json"
    assert json.loads(written.read_text()) == served_config()


def test_an_origin_that_is_none_is_refused(repo: Path) -> None:
    done = rolecall("studio", "--origin", "http://localhost:3000/page", cwd=repo)
    assert done.code == 2
    assert "--origin http://localhost:3000/page is not a web origin" in done.err
