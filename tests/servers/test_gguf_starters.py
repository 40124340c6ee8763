"""What becomes of a GGUF server whose starter died, and of callers who meet odd files, for real."""

import asyncio
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import httpx
import psutil
import pytest

from core.config.settings import ModelSpec, Settings
from llm_registry.diagnosis import doctor
from llm_registry.diagnosis.doctor import diagnose_roles
from llm_registry.discovery.context_window import context_window
from llm_registry.gguf import worker
from llm_registry.gguf.server import ensure_server, options_of
from tests.gguf_servers import running_servers, stop_server
from tests.probing import probe_endpoint

pytestmark = pytest.mark.servers


@pytest.fixture
def lone(tiny_model: Path, tmp_path: Path, spec: Callable[..., ModelSpec]) -> ModelSpec:
    """A spec for a copy of the file, in a folder with blanks and letters beyond ASCII."""
    folder = tmp_path / "my modèles"
    folder.mkdir()
    return spec(options={"path": str(shutil.copy(tiny_model, folder / "tiny model.gguf"))})


async def forsaken(spec: ModelSpec, home: Path) -> int:
    """Start a server as a starter does that is killed before it can write down whom it started."""
    options = options_of(spec)
    told = json.dumps({**asdict(options), "home": home, "key": options.key, "idle_s": 300.0}, default=str)
    launcher = await asyncio.create_subprocess_exec(
        sys.executable, "-P", worker.__file__, told, stdout=asyncio.subprocess.PIPE
    )
    return int((await launcher.communicate())[0])


async def ended(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        await asyncio.sleep(0.1)
    return False


@pytest.fixture
def home(server_folder: Path) -> Path:
    folder = server_folder / "gguf"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


async def test_a_server_nobody_wrote_down_ends(lone: ModelSpec, home: Path) -> None:
    pid = await forsaken(lone, home)
    assert await ended(pid, 20)
    assert not (home / f"{options_of(lone).key}.url").exists()


async def test_a_forsaken_server_does_not_take_the_place_of_the_next_one(lone: ModelSpec, home: Path) -> None:
    pid = await forsaken(lone, home)
    os.kill(pid, signal.SIGSTOP)
    url = await ensure_server(lone)
    os.kill(pid, signal.SIGCONT)
    assert await ended(pid, 20)
    assert await ensure_server(lone) == url
    assert pid not in [one.pid for one in await running_servers()]
    assert await stop_server(lone)


async def test_the_doctor_tries_a_file_and_says_why_it_does_not_load(
    lone: ModelSpec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(doctor, "USUAL_PLACES", ())
    path = tmp_path / "half.gguf"
    whole = Path(str(lone.options["path"]))
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    half = {"provider": "gguf", "options": {"path": str(path), "threads": 1}, "fallback": ["embedded"]}
    settings = Settings.model_validate({"llm": {"primary": half, "router": lone.model_dump()}})
    found = await diagnose_roles(settings, live=True)
    broken, good = (
        next(one for one in found.specs if one.name == name) for name in ("primary:half", "router:tiny model")
    )
    assert not broken.ok
    assert "half.gguf exited while loading" in broken.error
    assert found.roles[0].serves == "embedded"
    (remedy,) = [one for one in found.remedies if one.problem.startswith("primary")]
    assert "tools" not in remedy.problem
    assert good.ok
    await stop_server(lone)


async def test_a_file_has_the_window_its_model_was_made_for(lone: ModelSpec) -> None:
    """Asked for more than that, the server gives no more, and what rolecall expects is what it gives."""
    greedy = lone.model_copy(update={"context_length": 200_000})
    expected = context_window(greedy, await probe_endpoint(greedy))
    url = await ensure_server(greedy)
    async with httpx.AsyncClient() as client:
        told = (await client.get(f"{url.removesuffix('/v1')}/props")).json()
    assert expected.tokens == told["default_generation_settings"]["n_ctx"] < 200_000
    assert "200000" in expected.warning
    await stop_server(greedy)
