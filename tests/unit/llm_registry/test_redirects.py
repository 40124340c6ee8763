"""A server that sends its callers on to another one: nobody goes there, and no key does."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import ollama
import openai
import pytest

from core.config.settings import LLMSettings, ModelSpec, TelemetrySettings
from core.errors import ModelError
from llm_registry.diagnosis import endpoint_guesses
from llm_registry.diagnosis.bench import bench
from llm_registry.diagnosis.doctor import diagnose_roles
from llm_registry.diagnosis.endpoint_guesses import find_nearby
from llm_registry.diagnosis.live_checks import run_live_checks
from llm_registry.discovery.server_info import EndpointFacts
from llm_registry.failures.errors import CallFailure
from llm_registry.failures.redirects import origin_of, redirect_failure, same_origin
from llm_registry.providers.catalog import build_model
from llm_registry.records.call_log import CallRow
from llm_registry.records.telemetry import span_export
from tests.modelserver.server import closed_port
from tests.probing import probe_endpoint
from tests.unit.llm_registry.raw import raw_server
from tests.unit.llm_registry.rig import HELLO, QUICK, SITE, registry, settings_of

KEY = "key-of-" + "the-first-server"
HEADER = "header-of-" + "the-first-server"
STATUSES = (301, 302, 303, 307, 308)
PROVIDERS = ("openai_compatible", "openrouter", "ollama", "ollama/v1")


class Other:
    """The second server: keeps whatever reaches it."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[bytes] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append(await reader.read(65536))
        body = json.dumps({"data": [{"id": "m"}], "models": [{"name": "m"}]}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)


@pytest.fixture
async def other() -> AsyncIterator[Other]:
    recorder = Other()
    async with raw_server(recorder.handle) as url:
        recorder.url = url.removesuffix("/v1")
        yield recorder


@asynccontextmanager
async def sending_on(
    other: Other, status: int = 307, *, answers: Mapping[str, Any] | None = None, location: str = ""
) -> AsyncIterator[str]:
    """A server that answers some paths and sends all other callers to the other one; yields its bare address."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        path = head.split(" ")[1]
        if path in (answers or {}):
            body = json.dumps((answers or {})[path]).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
            return
        target = location or f"{other.url}{path}"
        writer.write(f"HTTP/1.1 {status} x\r\nLocation: {target}\r\nContent-Length: 0\r\n"
                     "Connection: close\r\n\r\n".encode())  # fmt: skip

    async with raw_server(handle) as url:
        yield url.removesuffix("/v1")


def spec(provider: str, url: str, **more: Any) -> dict[str, Any]:
    name, _, tail = provider.partition("/")
    path = "" if name == "ollama" and not tail else "/v1"
    return {
        "provider": name, "base_url": f"{url}{path}", "model": "m", "api_key": KEY, "timeouts": QUICK,
        "options": {"headers": {"X-Gate": HEADER}}, **more,
    }  # fmt: skip


MODELS = {"/v1/models": {"object": "list", "data": [{"id": "m", "object": "model"}]},
          "/api/tags": {"models": [{"name": "m", "model": "m"}]}}  # fmt: skip


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_call_that_is_sent_on_goes_nowhere(provider: str, status: int, tmp_path: Path, other: Other) -> None:
    async with (
        sending_on(other, status, answers=MODELS) as url,
        registry({"coder": spec(provider, url)}, tmp_path) as models,
    ):
        await models.assign()
        with pytest.raises(ModelError) as failed:
            await models.chat("coder", HELLO, site=SITE)
    assert other.requests == []
    assert other.url in failed.value.message
    assert str(status) in failed.value.message
    assert "set `base_url` of `coder`" in failed.value.hint
    assert KEY not in failed.value.message + failed.value.hint


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("provider", ["openai_compatible", "openrouter"])
async def test_neither_protocol_follows(provider: str, api: str, tmp_path: Path, other: Other) -> None:
    async with sending_on(other) as url, registry({"coder": spec(provider, url, api=api)}, tmp_path) as models:
        with pytest.raises(ModelError, match="redirected"):
            await models.chat("coder", HELLO, site=SITE)
    assert other.requests == []


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_clients_below_do_not_follow_either(provider: str, other: Other) -> None:
    async with sending_on(other) as url:
        built = await build_model(ModelSpec.model_validate(spec(provider, url)), api="chat")
        model: Any = built.model
        ways: list[Callable[[], Awaitable[Any]]] = [
            lambda: model.ainvoke(HELLO),
            lambda: _drained(model.astream(HELLO)),
            lambda: asyncio.to_thread(model.invoke, HELLO),
            lambda: asyncio.to_thread(lambda: list(model.stream(HELLO))),
        ]
        for way in ways:
            with pytest.raises((CallFailure, openai.OpenAIError, ollama.ResponseError)):
                await way()
        if built.close is not None:
            await built.close()
    assert other.requests == []


async def _drained(stream: AsyncIterator[Any]) -> None:
    async for _ in stream:
        pass


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_look_tells_where_it_was_sent(provider: str, status: int, other: Other) -> None:
    async with sending_on(other, status) as url:
        given = ModelSpec.model_validate(spec(provider, url))
        facts = await probe_endpoint(given)
        nearby = await find_nearby(given, facts, deadline_s=1.0)
    assert other.url in facts.error
    assert nearby is None
    assert other.requests == []


async def test_doctor_and_its_live_calls_stay_at_the_server(other: Other) -> None:
    async with sending_on(other, answers=MODELS) as url, sending_on(other) as lost:
        for provider in PROVIDERS:
            assert other.url in (await run_live_checks(ModelSpec.model_validate(spec(provider, url)))).error
        llm = {"primary": spec("openai_compatible", url), "coder": spec("ollama", lost)}
        found = await diagnose_roles(settings_of(llm), live=True)
    assert other.requests == []
    told = found.model_dump_json()
    assert other.url in told
    assert KEY not in told
    assert HEADER not in told


async def test_a_comparison_of_models_stays_at_the_server(other: Other) -> None:
    async with sending_on(other, answers=MODELS) as url:
        for provider in PROVIDERS:
            compared = await bench(settings_of({"coder": spec(provider, url)}), "coder", [], limit=1)
            assert other.url in compared.models[0].errors[0]
    assert other.requests == []


async def test_spans_go_to_the_collector_that_is_configured_and_to_no_other(other: Other) -> None:
    warnings: list[str] = []
    async with sending_on(other) as url:
        settings = TelemetrySettings(otel=True, otlp_endpoint=url, otlp_headers={"x-key": KEY})
        async with span_export(settings, warn=warnings.append) as watch:
            assert watch is not None
            watch(CallRow(role="coder", spec="coder", provider="ollama", outcome="ok", total_s=1.0))
    assert other.requests == []
    assert len(warnings) == 1
    assert other.url in warnings[0]
    assert "telemetry.otlp_endpoint" in warnings[0]


async def test_what_the_target_is_called_shows_nothing_but_its_origin(tmp_path: Path, other: Other) -> None:
    location = f"https://user:{KEY}@gate.example:8443/{KEY}?key={KEY}#{KEY}"
    async with sending_on(other, location=location) as url:
        async with registry({"coder": spec("ollama", url)}, tmp_path) as models:
            with pytest.raises(ModelError) as failed:
                await models.chat("coder", HELLO, site=SITE)
        facts = await probe_endpoint(ModelSpec.model_validate(spec("ollama", url)))
    assert "https://gate.example:8443" in failed.value.message
    assert "https://gate.example:8443" in facts.error
    assert KEY not in failed.value.message + facts.error


@pytest.mark.parametrize("location", ["", "http://[::1", "http://a:99999/", "file:///etc/passwd", "//\x1b]0;x\x07/"])
def test_a_target_that_is_none_is_told_plainly(location: str) -> None:
    said = redirect_failure(302, "http://one/v1", location).message
    assert "another" in said
    assert "\x1b" not in said


def test_one_server_is_scheme_host_and_port() -> None:
    assert same_origin("http://a:80/v1", "http://user:k@a/other")
    assert not same_origin("http://a/", "https://a/")
    assert not same_origin("http://a:1/", "http://a:2/")
    assert not same_origin("http://a/", "http://a.b/")
    assert not same_origin("", "")
    assert origin_of("https://[::1]:8443/x?y") == "https://[::1]:8443"


async def test_where_nothing_listens_no_other_scheme_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    guessed: list[str] = []

    async def probed(specs: list[ModelSpec], *, deadline_s: float) -> list[EndpointFacts]:
        guessed.extend(one.base_url for one in specs)
        return [EndpointFacts(reachable=False)] * len(specs)

    monkeypatch.setattr(endpoint_guesses, "probe_endpoints", probed)
    given = ModelSpec.model_validate(spec("openai_compatible", f"http://127.0.0.1:{closed_port()}/v1"))
    await find_nearby(given, await probe_endpoint(given), deadline_s=1.0)
    assert guessed
    assert all(url.startswith("http://") for url in guessed)


async def test_a_guess_at_another_address_carries_no_key_of_the_first(other: Other) -> None:
    # As if nothing listened there: the other names of this machine are tried.
    given = ModelSpec.model_validate(spec("openai_compatible", f"{other.url.replace('127.0.0.1', 'localhost')}/api/x"))
    facts = (await probe_endpoint(given)).__class__(reachable=False, error="nothing is listening there")
    await find_nearby(given, facts, deadline_s=1.0)
    elsewhere = [one for one in other.requests if b"127.0.0.1" in one.split(b"\r\n\r\n")[0]]
    assert elsewhere
    for one in elsewhere:
        assert KEY.encode() not in one
        assert HEADER.encode() not in one


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_keys_of_the_environment_are_not_for_servers_that_the_config_names(
    provider: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: Other
) -> None:
    ambient = "ambient-" + "credential"
    for name in ("OLLAMA_API_KEY", "OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, ambient)
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"X-Custom: {ambient}\nAuthorization: Bearer {ambient}")
    monkeypatch.setenv("OPENAI_PROXY", f"http://user:{ambient}@127.0.0.1:9")
    more = {"api_key": "none"} if provider == "openrouter" else {"api_key": ""}
    llm = LLMSettings.model_validate({"coder": spec(provider, other.url, **more)})
    async with registry(llm.model_dump(), tmp_path) as models:
        with pytest.raises(ModelError):
            await models.chat("coder", HELLO, site=SITE)
    assert other.requests
    assert ambient.encode() not in b"".join(other.requests)
