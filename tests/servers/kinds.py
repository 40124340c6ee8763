"""Real model servers of other makes: how each is started on the tiny model, and what it is known to do and to lack."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from core.config.settings import ModelSpec
from tests.servers.install import HOME

KEY = "sk-of-the-tests"
CONTEXT = 4096
Command = Callable[[Path, "Models", int], list[str]]


@dataclass(frozen=True, slots=True)
class Models:
    """The tiny model in the forms that servers load."""

    gguf: Path
    folder: Path
    """As vLLM and transformers load it."""
    upstream: str
    """Base URL of a llama.cpp server that has loaded it, for proxies."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One make of server. The flags say what was found to be so; a test fails when that changes."""

    name: str
    command: Command
    health: str
    """A path that answers 200 once requests are served."""
    seen_as: str
    """What a look takes it for."""
    model: str = "tiny"
    apis: tuple[str, ...] = ("chat", "responses")
    window: int | None = None
    """What it says to a look, in tokens."""
    lists_models: bool = True
    forces_objects: tuple[str, ...] = ("chat",)
    """APIs through which an answer is held to a schema."""
    when_too_long: str = "context"
    """How the failure is called when a prompt is longer than its window; empty when it takes any."""
    wants_key: bool = True
    checks_names: bool = True
    """It refuses a model it does not have."""
    known_as_one: bool = False
    """A look knows that it serves its one model under any name."""
    relays: bool = False
    """It asks another server, and answers 500 when its own connection there breaks."""
    counts: bool = True
    """It reports the tokens of a stream."""
    marker: str = "more_servers"
    environment: Mapping[str, str] = field(default_factory=dict)
    start_s: float = 180.0


@dataclass(frozen=True, slots=True)
class RealServer:
    """A running server."""

    kind: Kind
    url: str
    """With `/v1`."""
    model: str
    process: subprocess.Popen[bytes] | None
    """`None` where the product itself started it."""

    def spec(self, api: str, **more: Any) -> ModelSpec:
        """A spec for its tiny model."""
        given = {"provider": "openai_compatible", "model": self.model, "base_url": self.url, "api_key": KEY, "api": api}
        return ModelSpec(**{**given, "temperature": 0, **more})


def _litellm(folder: Path, models: Models, port: int) -> list[str]:
    def deployment(name: str, **parameters: Any) -> dict[str, Any]:
        given = {"model": "openai/tiny", "api_base": models.upstream, "api_key": "none", "max_retries": 0}
        return {
            "model_name": name,
            "litellm_params": {**given, **parameters},
            "model_info": {"max_input_tokens": CONTEXT},
        }

    dead = "http://127.0.0.1:1/v1"
    config = {
        "model_list": [
            deployment("tiny", use_chat_completions_api=True),
            deployment("passed-through"),
            deployment("dead", api_base=dead),
            deployment("rescued", api_base=dead),
            deployment("crowded", mock_response="litellm.RateLimitError"),
        ],
        "litellm_settings": {"num_retries": 0, "telemetry": False, "drop_params": False},
        "router_settings": {"num_retries": 0, "fallbacks": [{"rescued": ["tiny"]}]},
        "general_settings": {"master_key": KEY},
    }
    # JSON is YAML too.
    (folder / "litellm.yaml").write_text(json.dumps(config), encoding="utf-8")
    program = str(HOME / "litellm" / "bin" / "litellm")
    return [program, "--config", str(folder / "litellm.yaml"), *_at(port), "--telemetry", "False"]


def _router(folder: Path, models: Models, port: int) -> list[str]:
    there = folder / "models"
    there.mkdir()
    for name in ("tiny", "other"):
        (there / f"{name}.gguf").symlink_to(models.gguf)
    options = ["--models-dir", str(there), "--models-max", "1", "--offline", "--jinja", "--api-key", KEY]
    # Two slots share the context.
    return [
        str(HOME / "router" / "bin" / "llama-server"), *_at(port), *options,
        "--ctx-size", str(2 * CONTEXT), "--parallel", "2", "--threads", "1",
    ]  # fmt: skip


def _vllm(folder: Path, models: Models, port: int) -> list[str]:
    # The command `vllm` looks for a distribution of that name, which this build has not.
    return [
        str(HOME / "vllm" / "bin" / "python"), "-m", "vllm.entrypoints.openai.api_server", *_at(port),
        "--model", str(models.folder), "--served-model-name", "tiny", "--dtype", "float32", "--enforce-eager",
        "--max-num-seqs", "4", "--enable-auto-tool-choice", "--tool-call-parser", "hermes", "--api-key", KEY,
    ]  # fmt: skip


def _transformers(folder: Path, models: Models, port: int) -> list[str]:
    program = str(HOME / "transformers" / "bin" / "transformers")
    return [program, "serve", *_at(port), "--device", "cpu", str(models.folder)]


def _llama_cpp_python(folder: Path, models: Models, port: int) -> list[str]:
    # Left alone, a second request cuts the stream of the first.
    return [
        str(HOME / "llama_cpp_python" / "bin" / "python"), "-m", "llama_cpp.server", *_at(port),
        "--model", str(models.gguf), "--model_alias", "tiny", "--n_ctx", str(CONTEXT), "--n_threads", "1",
        "--api_key", KEY, "--interrupt_requests", "false",
    ]  # fmt: skip


def _at(port: int) -> list[str]:
    return ["--host", "127.0.0.1", "--port", str(port)]


def _started_already(folder: Path, models: Models, port: int) -> list[str]:
    raise RuntimeError("llama.cpp's server is started by the provider `gguf`")


LLAMA_CPP = Kind(
    name="llama.cpp", command=_started_already, health="/health", seen_as="llama.cpp", window=CONTEXT,
    wants_key=False, checks_names=False, known_as_one=True, marker="servers",
)  # fmt: skip
LITELLM = Kind(
    name="litellm", command=_litellm, health="/health/liveliness", seen_as="litellm", window=CONTEXT,
    forces_objects=("chat", "responses"), marker="servers", relays=True,
    environment={"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
)  # fmt: skip
ROUTER = Kind(name="router", command=_router, health="/health", seen_as="llama.cpp", window=CONTEXT)
KINDS = (
    LLAMA_CPP,
    LITELLM,
    ROUTER,
    Kind(
        name="vllm", command=_vllm, health="/health", seen_as="vllm", window=CONTEXT,
        forces_objects=("chat", "responses"),
        environment={"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "VLLM_CPU_KVCACHE_SPACE": "1"},
    ),
    Kind(
        name="transformers", command=_transformers, health="/health", seen_as="generic", lists_models=False,
        forces_objects=(), when_too_long="", wants_key=False,
    ),
    Kind(
        name="llama_cpp_python", command=_llama_cpp_python, health="/docs", seen_as="generic", apis=("chat",),
        forces_objects=(), when_too_long="context|reset|cut|refused", checks_names=False, counts=False,
    ),
)  # fmt: skip


@contextlib.contextmanager
def running(kind: Kind, models: Models, folder: Path) -> Iterator[RealServer]:
    """Start a server on a free port and end it, with all its processes, afterwards.

    Raises:
        RuntimeError: It is not installed, or did not come up; the text ends with its own last words.
    """
    if not (HOME / kind.name / ".installed").exists():
        raise RuntimeError(f"{kind.name} is not installed: python -m tests.servers.install {kind.name}")
    port = _free_port()
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    log = folder / "log.txt"
    with log.open("wb") as out:
        process = subprocess.Popen(
            kind.command(folder, models, port), cwd=folder, env={**os.environ, **offline, **kind.environment},
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        _await_health(f"http://127.0.0.1:{port}{kind.health}", kind, process, log)
        model = str(models.folder) if kind.name == "transformers" else kind.model
        yield RealServer(kind, f"http://127.0.0.1:{port}/v1", model, process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_health(url: str, kind: Kind, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + kind.start_s
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url, timeout=2, trust_env=False).status_code == 200:
                return
        time.sleep(0.1)
    raise RuntimeError(f"{kind.name} did not come up: {log.read_text(errors='replace')[-2000:]}")
