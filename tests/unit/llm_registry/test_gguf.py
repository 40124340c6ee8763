"""GGUF servers as far as they can be looked at without one: options, the folder of the running, refusals."""

import asyncio
import json
import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from core.config.settings import ModelSpec
from core.errors import ModelError
from llm_registry.failures.errors import CallFailure, ErrorKind
from llm_registry.gguf.folder import RunningServer, find_server, is_alive, kill_server, runtime_dir, server_lock
from llm_registry.gguf.header import trained_context
from llm_registry.gguf.server import ensure_server, options_of
from llm_registry.providers.gguf import build
from tests.gguf_servers import running_servers


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLECALL_STATE_DIR", str(tmp_path / "state"))


def spec(path: Path, **more: object) -> ModelSpec:
    return ModelSpec(**{"provider": "gguf", "options": {"path": str(path)}, **more})  # type: ignore[arg-type]


def test_options_come_from_the_spec(tmp_path: Path) -> None:
    given = {"path": str(tmp_path / "a.gguf"), "threads": 3, "slots": 2, "idle_s": 5, "start_s": 7}
    options = options_of(ModelSpec(provider="gguf", context_length=2048, options=given))
    assert (options.threads, options.ctx, options.slots, options.idle_s, options.start_s) == (3, 2048, 2, 5.0, 7.0)


def test_the_machine_is_left_half_of_its_cpus(tmp_path: Path) -> None:
    options = options_of(ModelSpec(provider="gguf", model=str(tmp_path / "a.gguf"), max_concurrency=4))
    assert 1 <= options.threads <= max((os.cpu_count() or 2) // 2, 1)
    assert options.slots == 4
    assert options.path == (tmp_path / "a.gguf").resolve()


def test_the_folder_is_for_this_user_only() -> None:
    assert runtime_dir().stat().st_mode & 0o077 == 0


async def test_a_missing_file_is_a_refusal_that_says_where(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    with pytest.raises(ModelError, match=r"absent\.gguf: No such file") as raised:
        await ensure_server(spec(tmp_path / "absent.gguf"))
    assert "nothing is downloaded" in raised.value.hint
    with pytest.raises(CallFailure) as failed:
        await build(spec(tmp_path / "absent.gguf"), api="chat")
    assert failed.value.kind is ErrorKind.UNKNOWN_MODEL


@pytest.mark.parametrize("state", ["", "{", "[]", "{}", '{"pid": "x"}', '{"pid": 1, "created": 1.0, "path": "a"}'])
def test_leftovers_of_dead_servers_are_removed(tmp_path: Path, state: str) -> None:
    (tmp_path / "k.json").write_text(state, encoding="utf-8")
    (tmp_path / "k.url").write_text("1 http://127.0.0.1:1", encoding="utf-8")
    assert find_server(tmp_path, "k") is None
    assert list(tmp_path.iterdir()) == []


def test_a_live_server_is_found_and_ended(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        created = psutil.Process(process.pid).create_time()
        state = {"pid": process.pid, "created": created, "path": "a.gguf"}
        (tmp_path / "k.json").write_text(json.dumps(state), encoding="utf-8")
        loading = find_server(tmp_path, "k")
        (tmp_path / "k.url").write_text(f"{process.pid} http://127.0.0.1:1", encoding="utf-8")
        listening = find_server(tmp_path, "k")
        assert loading is not None
        assert listening is not None
        assert (loading.url, listening.url) == ("", "http://127.0.0.1:1")
        kill_server(listening)
        assert not is_alive(listening)
    finally:
        process.kill()
        process.wait()


def test_a_reused_pid_is_another_process() -> None:
    assert not is_alive(RunningServer(os.getpid(), 12345.0, "a.gguf", ""))
    assert is_alive(RunningServer(os.getpid(), psutil.Process().create_time(), "a.gguf", ""))


async def test_one_lock_holder_at_a_time(tmp_path: Path) -> None:
    inside = 0
    most = 0

    async def work() -> None:
        nonlocal inside, most
        async with server_lock(tmp_path / "k.lock"):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.01)
            inside -= 1

    await asyncio.gather(*(work() for _ in range(5)))
    assert most == 1


async def test_a_killed_holder_frees_the_lock(tmp_path: Path) -> None:
    lock = tmp_path / "k.lock"
    hold = (
        "import fcntl,sys,time; f=open(sys.argv[1],'a'); fcntl.flock(f, 2); print('held', flush=True); time.sleep(60)"
    )
    holder = await asyncio.create_subprocess_exec(sys.executable, "-c", hold, str(lock), stdout=asyncio.subprocess.PIPE)
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"held\n"
    asyncio.get_running_loop().call_later(0.2, holder.kill)
    began = time.monotonic()
    async with server_lock(lock):
        assert time.monotonic() - began < 10
    await holder.wait()


async def test_nothing_runs_in_a_new_folder() -> None:
    assert await running_servers() == []


def head(*pairs: bytes, count: int | None = None) -> bytes:
    """The beginning of a GGUF file."""
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs) if count is None else count) + b"".join(pairs)


def pair(key: str, kind: int, value: bytes) -> bytes:
    return struct.pack("<Q", len(key)) + key.encode() + struct.pack("<I", kind) + value


def text(words: str) -> bytes:
    return struct.pack("<Q", len(words)) + words.encode()


ARCHITECTURE = pair("general.architecture", 8, text("llama"))
TAGS = pair("general.tags", 9, struct.pack("<IQ", 8, 2) + text("small") + text("chat"))
NUMBERS = pair("general.odd", 9, struct.pack("<IQ", 5, 3) + struct.pack("<iii", 1, 2, 3))
LENGTH = pair("llama.context_length", 4, struct.pack("<I", 2048))


@pytest.mark.parametrize(
    ("content", "tokens"),
    [
        (head(ARCHITECTURE, TAGS, NUMBERS, LENGTH), 2048),
        (head(LENGTH), 2048),
        (head(ARCHITECTURE), None),
        (head(ARCHITECTURE, pair("tokenizer.ggml.model", 8, text("gpt2")), LENGTH), None),
        (head(pair("a", 77, b"")), None),
        (head(ARCHITECTURE, count=2**60), None),
        (head(ARCHITECTURE, LENGTH)[:-2], None),
        (head(struct.pack("<Q", 2**62)), None),
        (head(pair("a", 9, struct.pack("<IQ", 9, 1) * 5000)), None),
        (b"GGUF", None),
        (b"", None),
        (b"notes", None),
    ],
)
def test_the_head_of_a_file_tells_what_its_model_was_made_for(
    content: bytes, tokens: int | None, tmp_path: Path
) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    assert trained_context(path) == tokens
