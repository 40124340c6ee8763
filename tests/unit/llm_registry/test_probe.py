"""The quick look at endpoints, over real connections."""

import asyncio
import sys
import time
from pathlib import Path

import pytest

from core.config.settings import ModelSpec
from llm_registry.discovery.probe import probe_endpoints
from llm_registry.discovery.server_info import EndpointProblem
from tests.modelserver.info import Shape
from tests.modelserver.reply import say
from tests.modelserver.server import ModelServer, closed_port
from tests.probing import probe_endpoint
from tests.unit.llm_registry.raw import Handler, raw_server


def spec(url: str, **more: object) -> ModelSpec:
    base: dict[str, object] = {"provider": "openai_compatible", "model": "scripted", "base_url": url}
    return ModelSpec(**(base | more))  # type: ignore[arg-type]


def always(body: bytes, head: bytes = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n") -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head + b"Connection: close\r\n\r\n" + body)
        await writer.drain()

    return handle


@pytest.mark.parametrize(
    ("shape", "kind", "trained"),
    [
        (Shape.OPENAI, "llama.cpp", 131072),
        (Shape.VLLM, "vllm", None),
        (Shape.LM_STUDIO, "lmstudio", 131072),
    ],
)
async def test_each_server_is_recognised_with_the_window_it_loaded(
    shape: Shape, kind: str, trained: int | None
) -> None:
    with ModelServer(say("hi"), shape=shape, context=6144) as server:
        facts = await probe_endpoint(spec(server.v1))
    assert facts.reachable
    assert facts.error == ""
    assert facts.server == kind
    assert facts.models == ("scripted",)
    assert facts.window("scripted") == 6144
    assert facts.limit("scripted") == trained
    assert facts.responses_api is True
    assert server.requests == []


async def test_ollama_is_recognised_behind_a_model_of_somebody_else() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1]
        rows = b'[{"id": "hf.co/ada/m", "owned_by": "ada"}, {"id": "phi3:mini", "owned_by": "library"}]'
        loaded = b'{"models": [{"name": "hf.co/ada/m", "context_length": 4096}]}'
        body = {b"/v1/models": b'{"data": ' + rows + b"}", b"/api/ps": loaded}.get(path, b"{}")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body)

    async with raw_server(handle) as url:
        facts = await probe_endpoint(spec(url, model="hf.co/ada/m"))
    assert (facts.server, facts.window("hf.co/ada/m")) == ("ollama", 4096)


@pytest.mark.parametrize("path", ["", "/v1"])
async def test_ollama_is_recognised_by_either_of_its_doors(path: str) -> None:
    with ModelServer(say("hi"), shape=Shape.OLLAMA, context=2048, models=("phi3:latest",)) as server:
        facts = await probe_endpoint(spec(server.url + path, provider="ollama", model="phi3"))
    assert (facts.server, facts.models) == ("ollama", ("phi3:latest",))
    assert facts.window("phi3") == 2048
    assert facts.limit("phi3") is not None
    assert facts.offers("phi3") is True
    assert facts.offers("qwen2.5:0.5b") is False


async def test_responses_is_found_missing() -> None:
    with ModelServer(say("hi"), responses=False) as server:
        assert (await probe_endpoint(spec(server.v1))).responses_api is False
        assert (await probe_endpoint(spec(server.v1, api="chat"))).responses_api is None


async def test_a_refused_key_is_reachable_but_an_error() -> None:
    with ModelServer(say("hi"), api_key="right") as server:
        refused = await probe_endpoint(spec(server.v1, api_key="wrong"))
        accepted = await probe_endpoint(spec(server.v1, api_key="right"))
    assert refused.reachable
    assert "key was refused" in refused.error
    assert accepted.error == ""


async def test_a_forgotten_v1_is_named() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await always(b"404 page not found", b"HTTP/1.1 404 Not Found\r\n")(reader, writer)

    async with raw_server(handle) as url:
        facts = await probe_endpoint(spec(url.removesuffix("/v1")))
    assert f"did you mean {url}?" in facts.error


async def test_nothing_listening_costs_no_time() -> None:
    facts = await probe_endpoint(spec(f"http://127.0.0.1:{closed_port()}/v1"))
    assert not facts.reachable
    assert not facts.connected
    assert facts.error == "nothing is listening there"
    assert facts.problem is EndpointProblem.NOTHING_LISTENS
    assert facts.seconds < 0.5


async def test_a_hang_ends_within_the_deadline_and_is_told_from_absence() -> None:
    release = asyncio.Event()

    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()

    async with raw_server(hang) as url:
        started = time.monotonic()
        facts = await probe_endpoint(spec(url), deadline_s=0.3)
        assert time.monotonic() - started < 0.9
        release.set()
    assert not facts.reachable
    assert facts.connected
    assert "no answer in 0.3 s" in facts.error


async def test_a_hang_of_a_side_question_keeps_what_was_said() -> None:
    release = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0]
        if b"/v1/models" not in line:
            await release.wait()
        body = b'{"data": [{"id": "m", "max_model_len": 77}]}'
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body)

    async with raw_server(handle) as url:
        facts = await probe_endpoint(spec(url), deadline_s=0.4)
        release.set()
    assert facts.reachable
    assert facts.window("m") == 77
    assert facts.responses_api is None


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>hello</html>", b"[]", b"null", b'"text"', b"{", b'{"data": 3}', b'{"data": [1, null, {"id": 7}]}',
        b'{"data": [{"id": "m", "max_model_len": "many", "meta": []}], "models": "x"}', b'{"error": "no"}',
        b"\xff\xfe\x00",
        b'{"models": [{"name": null}], "data": [{"id": "m", "context_length": true}]}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("provider", ["openai_compatible", "ollama", "openrouter"])
async def test_odd_bodies_never_raise_and_invent_no_window(body: bytes, provider: str) -> None:
    async with raw_server(always(body)) as url:
        facts = await probe_endpoint(spec(url, provider=provider))
    assert facts.reachable
    assert facts.windows == {}


@pytest.mark.parametrize("greeting", [b"220 smtp.example ESMTP\r\n", b"", b"\x00\x01\x02"])
async def test_a_port_that_speaks_no_http_is_no_model_server(greeting: bytes) -> None:
    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)

    async with raw_server(handle) as url:
        facts = await probe_endpoint(spec(url))
    assert not facts.reachable
    # Something else listens there; nobody need wait for it as for a busy model server.
    assert not facts.connected
    assert facts.error


async def test_a_proxy_of_the_environment_is_used_for_the_internet_only(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).split(b" ")[1])
        writer.write(b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"data": [{"id": "scripted"}]}')

    async with raw_server(proxy) as url:
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, url.removesuffix("/v1"))
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        far = await probe_endpoint(spec("http://models.example.com/v1"))
        near = await probe_endpoint(spec(f"http://127.0.0.1:{closed_port()}/v1"))
    assert far.models == ("scripted",)
    assert asked[0] == b"http://models.example.com/v1/models"
    assert near.error == "nothing is listening there"


async def test_an_address_that_sends_its_callers_on_names_where_to() -> None:
    async with raw_server(always(b"", b"HTTP/1.1 308 x\r\nLocation: https://elsewhere.example/v1/models\r\n")) as url:
        facts = await probe_endpoint(spec(url))
    assert "did you mean https://elsewhere.example/v1?" in facts.error


@pytest.mark.parametrize("url", ["", "http://", "http://127.0.0.1:99999/v1", "http://[::1/v1"])
async def test_an_unusable_address_becomes_an_error(url: str) -> None:
    facts = await probe_endpoint(spec(url))
    assert not facts.reachable
    assert facts.error


async def test_roles_on_one_endpoint_are_looked_up_once() -> None:
    asked = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).split(b" ")[1])
        writer.write(b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"data": [{"id": "a"}, {"id": "b"}]}')

    async with raw_server(handle) as url:
        many = await probe_endpoints([spec(url, model=name) for name in ("a", "b", "c")])
    assert asked.count(b"/v1/models") == 1
    assert [facts.offers(name) for facts, name in zip(many, "abc", strict=True)] == [True, True, False]


async def test_a_gguf_file_is_looked_for_on_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "small.gguf"
    missing = await probe_endpoint(ModelSpec(provider="gguf", model=str(path)))
    path.write_bytes(b"GGUF")
    present = await probe_endpoint(ModelSpec(provider="gguf", options={"path": str(path)}))
    assert not missing.reachable
    assert str(path) in missing.error
    assert present.reachable
    assert present.models == ("small",)


async def test_a_missing_extra_names_the_command_for_this_very_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "small.gguf"
    path.write_bytes(b"GGUF")
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    facts = await probe_endpoint(ModelSpec(provider="gguf", model=str(path)))
    assert not facts.reachable
    assert facts.error.endswith(f"{sys.executable} -m pip install 'rolecall[gguf]'")


async def test_the_engine_without_weights_is_always_there() -> None:
    facts = await probe_endpoint(ModelSpec(provider="embedded"))
    assert facts.reachable
    assert facts.server == "embedded"
