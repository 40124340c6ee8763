"""The commands that look after models and threads: doctor, models, supervise, studio."""

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from langgraph_sdk import get_client

from core.storage.database import database_of
from graph.store.lease import Lease
from graph.store.thread_store import ThreadStore
from tests.modelserver.process import ModelServerProcess
from tests.repositories import git, make_repository
from tests.unit.rolecall.command_line import Done, environment, rolecall

OFF = {"ROLECALL_CONFIG": ""}
TASK = "Make the failing tests pass"


@pytest.fixture
def red(tmp_path: Path) -> Path:
    return make_repository(
        tmp_path / "red",
        {
            "ages.py": "def adult(age):\n    return age > 18\n",
            "test_ages.py": "from ages import adult\n\n\ndef test_at_the_mark():\n    assert adult(18)\n",
        },
    )


def call(*words: str, cwd: Path) -> Done:
    return rolecall(*words, cwd=cwd, env=OFF)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def config_with(folder: Path, url: str, **more: object) -> str:
    spec = {"provider": "openai_compatible", "model": "scripted", "base_url": url, "api_key": "swordfish-1", **more}
    path = folder / "models.json"
    path.write_text(json.dumps({"llm": {"primary": spec, "coder": "primary"}}, indent=1))
    return f"--config={path}"


def test_the_doctor_names_the_line_of_a_server_that_is_away(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"
    config = config_with(tmp_path, url)
    done = call("doctor", config, cwd=tmp_path)

    assert done.code == 4
    assert "NO  primary " in done.out
    assert 'models.json:6 (llm.primary.base_url): "base_url": "http://' in done.out
    assert f"start the server at {url}" in done.out
    assert "swordfish" not in done.out + done.err
    assert done.err.splitlines()[-1].endswith("config path")
    served = call("doctor", config_with(tmp_path, url, fallback=["embedded"]), "--json", cwd=tmp_path)
    roles = {role["role"]: role for role in json.loads(served.out)["roles"]}
    assert (served.code, json.loads(served.out)["healthy"]) == (0, False)
    assert roles["coder"]["serves"] == "embedded"


def test_the_doctor_asks_the_models_when_told_to(tmp_path: Path) -> None:
    with ModelServerProcess({"competent": {"files": {}}}, tmp_path) as server:
        config = config_with(tmp_path, server.v1)
        assert "--live" in call("doctor", config, cwd=tmp_path).out
        lively = call("doctor", config, "--live", cwd=tmp_path)

    assert lively.code == 0, lively.out
    assert "tool call: " in lively.out
    assert "JSON: " in lively.out


def test_models_are_shown_with_what_was_measured(red: Path) -> None:
    assert "measured" not in call("models", cwd=red).out
    assert call("run", TASK, "--yes", "--quiet", "--no-supervisor", cwd=red).code == 0
    shown = call("models", cwd=red)
    figures = json.loads(call("models", "--json", cwd=red).out)["figures"]

    assert "measured in this repository" in shown.out
    assert next(one for one in figures if one["role"] == "coder")["calls"] >= 2


def test_a_supervisor_of_its_own_ends_with_its_thread(red: Path) -> None:
    begun = call("run", TASK, "--yes", "--no-supervisor", "--background", cwd=red)
    done = call("supervise", begun.out.strip(), cwd=red)

    assert done.code == 0, done.err
    assert f"supervising {begun.out[:8]}" in done.err
    assert "no longer needs supervision" in done.err
    assert "done" in call("threads", cwd=red).out
    nobody = call("supervise", cwd=red)
    assert (nobody.code, "--all" in nobody.err) == (2, True)


async def test_a_thread_that_nobody_runs_is_not_supervised_unless_told_to_wait(red: Path) -> None:
    stopped = call("run", TASK, "--yes", "--quiet", "--no-supervisor", "--max-minutes", "0.0001", cwd=red)
    assert stopped.code == 5, stopped.err
    [row] = await ThreadStore(database_of(red)).list()
    left = call("supervise", row.short, cwd=red)
    assert left.code == 2
    assert f"{row.short} is not running (budget), so there is nothing to supervise" in left.err
    assert left.err.splitlines()[-1].endswith(f"rolecall supervise --wait {row.short}")
    assert call("supervise", "--all", "--wait", cwd=red).code == 2
    async with Lease(database_of(red), row.thread_id):
        watching = supervising(red, row.short)
    _, said = await asyncio.to_thread(watching.communicate, timeout=60)
    assert (watching.returncode, f"{row.short} is no longer running (budget)" in said) == (0, True)
    waiting = supervising(red, "--wait", row.short)
    assert call("resume", row.short, "--yes", "--quiet", "--no-supervisor", "--max-minutes", "5", cwd=red).code == 0
    _, said = await asyncio.to_thread(waiting.communicate, timeout=60)
    assert (waiting.returncode, "no longer needs supervision" in said) == (0, True)


def supervising(repo: Path, *words: str) -> "subprocess.Popen[str]":
    """A supervisor in another process, once it has begun."""
    command = [sys.executable, "-m", "rolecall", "supervise", *words]
    process = subprocess.Popen(command, cwd=repo, env=environment(repo.parent, OFF), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert "supervising" in process.stderr.readline()
    return process


def test_a_fault_of_the_settings_ends_the_supervisor_as_one_and_no_other_thread(red: Path, tmp_path: Path) -> None:
    first = call("run", TASK, "--yes", "--background", cwd=red).out.strip()
    second = call("run", TASK, "--yes", "--background", cwd=red).out.strip()
    broken = config_with(tmp_path, "http://127.0.0.1:9/v1", provider="nobody")
    done = call("supervise", first, second, broken, cwd=red)
    assert done.code == 3, done.err
    assert "nobody" in done.err
    assert "unexpected" not in done.err
    assert call("supervise", first, second, cwd=red).code == 0


async def test_studio_serves_the_threads_of_the_repository(red: Path) -> None:
    assert call("run", TASK, "--yes", "--quiet", "--no-supervisor", cwd=red).code == 0
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "rolecall", "studio", f"--port={port}"],
        cwd=red, env=environment(red.parent, OFF), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        said = next((line for line in process.stderr if "open at" in line), "it never said so")
        assert "1 thread is open" in said
        async with get_client(url=re.findall(r"http://\S+/t/[\w-]+", said)[0]) as client:
            threads = await client.threads.search()
            state = await client.threads.get_state(threads[0]["thread_id"])
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)

    assert threads[0]["metadata"]["task"] == TASK
    assert state["values"]["report"]["status"] == "done"
    assert process.returncode == 0
    assert git(red, "status", "--porcelain") == ""
