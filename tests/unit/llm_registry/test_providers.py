"""What reaches the server of each provider, seen from there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from core.config.settings import ModelSpec
from core.errors import ConfigError
from llm_registry.providers import openai_compatible
from llm_registry.providers.catalog import check_spec
from tests.modelserver.info import Shape
from tests.modelserver.reply import say
from tests.modelserver.request import ModelRequest
from tests.modelserver.server import ModelServer
from tests.unit.llm_registry.rig import HELLO, SITE, Ear, registry


async def asked(spec: Mapping[str, Any], tmp_path: Path, *, shape: Shape = Shape.OPENAI, **server: Any) -> ModelRequest:
    with ModelServer(lambda _: say("hi"), shape=shape, **server) as running:
        base = running.url if shape is Shape.OLLAMA else running.v1
        async with registry({"primary": {"model": "m", "base_url": base, **spec}}, tmp_path) as models:
            await models.assign()
            assert (await models.chat("primary", HELLO, site=SITE)).text == "hi"
        return running.requests[-1]


def header(request: ModelRequest, name: str) -> str | None:
    return {key.lower(): value for key, value in request.headers.items()}.get(name)


COMMON: dict[str, Any] = {
    "temperature": 0.2, "max_output_tokens": 77, "api_key": "some-long-key", "options": {"headers": {"X-Own": "yes"}},
}  # fmt: skip


async def test_chat_completions(tmp_path: Path) -> None:
    spec = {**COMMON, "provider": "openai_compatible", "api": "chat", "thinking": False}
    request = await asked(spec, tmp_path, api_key="some-long-key")
    body = request.body
    assert (body["temperature"], body["max_tokens"], body["stream"]) == (0.2, 77, True)
    assert body["stream_options"] == {"include_usage": True}
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert header(request, "x-own") == "yes"
    assert header(request, "authorization") == "Bearer some-long-key"


async def test_a_call_of_tools_without_words_is_sent_with_empty_words(tmp_path: Path) -> None:
    history = [
        HumanMessage("hi"),
        AIMessage("", tool_calls=[{"id": "c1", "name": "look", "args": {}}]),
        ToolMessage("seen", tool_call_id="c1"),
    ]
    with ModelServer(lambda _: say("hi")) as running:
        spec = {"provider": "openai_compatible", "model": "m", "base_url": running.v1, "api": "chat"}
        async with registry({"primary": spec}, tmp_path) as models:
            await models.chat("primary", history, site=SITE)
        assert [message["content"] for message in running.requests[-1].body["messages"]] == ["hi", "", "seen"]


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_what_goes_past_the_clients_transform_reaches_the_server_in_the_same_words(
    api: Any, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    history = [
        SystemMessage("Be brief."),
        HumanMessage([{"type": "text", "text": "What ist das für ein Bild? \N{SNOWMAN}"}, picture], name="user"),
        AIMessage("Looking.", tool_calls=[{"id": "c1", "name": "look", "args": {"at": ["a", None, 1.5]}}],
                  additional_kwargs={"reasoning_content": "hm"}),
        ToolMessage("seen", tool_call_id="c1", name="look"),
        ToolMessage("not seen", tool_call_id="c2", status="error"),
    ]  # fmt: skip
    tools = [{"type": "function", "function": {
        "name": "look", "description": "Look.", "strict": True,
        "parameters": {"type": "object", "properties": {"at": {"type": "array", "default": None}}}}}]  # fmt: skip
    bodies: list[bytes] = []

    async def keep(request: Any) -> None:
        bodies.append(await request.aread())

    with ModelServer(lambda _: say("hi")) as running:
        options = {"extra_body": {"min_p": 0.1}, "seed": 3}
        spec = ModelSpec(provider="openai_compatible", model="m", base_url=running.v1, options=options)
        for large in (("messages", "input", "tools"), ()):
            monkeypatch.setattr(openai_compatible, "_LARGE", large)
            built = await openai_compatible.build(spec, api=api)
            model: Any = built.model
            model.root_async_client._client.event_hooks["request"].append(keep)
            key = "messages" if api == "chat" else "input"
            assert (model._get_request_payload(history)[key] == []) is (key in large)
            bound = model.bind_tools(tools, tool_choice="auto").bind(stop=["END"], at_most=9)
            if stream:
                assert [piece async for piece in bound.astream(history)]
            else:
                assert (await bound.ainvoke(history)).text == "hi"
            assert built.close is not None
            await built.close()
    first, second = bodies
    assert b"base64,iVBORw0KGgo=" in first
    assert first == second


async def test_responses(tmp_path: Path) -> None:
    request = await asked({**COMMON, "provider": "openai_compatible", "api": "responses"}, tmp_path)
    assert (request.body["temperature"], request.body["max_output_tokens"]) == (0.2, 77)
    assert header(request, "x-own") == "yes"


@pytest.mark.parametrize(
    ("length", "window"), [(5000, 5000), ("auto", 16384)], ids=["as configured", "more than its small default"]
)
async def test_ollama_is_told_its_window(length: Any, window: int, tmp_path: Path) -> None:
    spec = {**COMMON, "provider": "ollama", "context_length": length, "thinking": True}
    request = await asked(spec, tmp_path, shape=Shape.OLLAMA, models=("m",), context=4096)
    options = request.body["options"]
    assert (options["num_ctx"], options["num_predict"], options["temperature"]) == (window, 77, 0.2)
    assert request.body["think"] is True
    assert header(request, "x-own") == "yes"
    assert header(request, "authorization") == "Bearer some-long-key"


async def test_ollama_speaks_openai_too_where_the_address_says_so(tmp_path: Path) -> None:
    with ModelServer(lambda _: say("hi"), shape=Shape.OLLAMA) as server:
        spec = {"provider": "ollama", "model": "scripted", "base_url": server.v1}
        async with registry({"primary": spec}, tmp_path) as models:
            await models.chat("primary", HELLO, site=SITE)
        assert server.requests[-1].path == "/v1/chat/completions"


async def test_every_option_reaches_the_server(tmp_path: Path) -> None:
    options = {"num_gpu": 0, "threads": 4, "top_k": 7, "min_p": 0.1}
    request = await asked({"provider": "ollama", "options": options}, tmp_path, shape=Shape.OLLAMA, models=("m",))
    sent = request.body["options"]
    assert {name: sent[name] for name in ("num_gpu", "num_thread", "top_k", "min_p")} == {
        "num_gpu": 0, "num_thread": 4, "top_k": 7, "min_p": 0.1,
    }  # fmt: skip
    folder = tmp_path / "openai"
    folder.mkdir()
    spec = {"provider": "openai_compatible", "api": "chat", "options": {"top_p": 0.5, "extra_body": {"min_p": 0.1}}}
    body = (await asked(spec, folder)).body
    assert (body["top_p"], body["min_p"]) == (0.5, 0.1)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"provider": "openai_compatible", "options": {"num_ctx": 4096}}, "options.num_ctx: provider"),
        ({"provider": "openai_compatible", "options": {"num_gpu": 0}}, "options.num_gpu: provider"),
        ({"provider": "ollama", "options": {"num_gpu": 0}}, "options.num_gpu: Ollama's /v1 takes no options"),
        ({"provider": "ollama", "base_url": "http://h:1", "options": {"extra_body": {}}}, "ends in /v1"),
        ({"provider": "embedded", "options": {"top_p": 1}}, "options.top_p: provider"),
        ({"provider": "scripted", "options": {"script": "a", "pace": 1}}, "options.pace: provider"),
    ],
)
def test_an_option_that_would_be_lost_is_refused(spec: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_spec(ModelSpec.model_validate({"model": "m", "base_url": "http://h:1/v1", **spec}), "primary")


@pytest.mark.parametrize("provider", ["ollama", "openai_compatible"])
async def test_a_window_that_cannot_be_set_is_told(provider: str, tmp_path: Path) -> None:
    ear = Ear()
    with ModelServer(lambda _: say("hi"), shape=Shape.OLLAMA, models=("m",), context=4096) as server:
        spec = {"provider": provider, "model": "m", "base_url": server.v1}
        async with registry({"primary": spec}, tmp_path, ear=ear) as models:
            await models.assign()
    (told,) = ear.of("model_warning")
    assert told["message"].startswith("Ollama's /v1 cannot set the window; a prompt longer than the 4096 tokens")


async def test_openrouter(tmp_path: Path) -> None:
    request = await asked({**COMMON, "provider": "openrouter", "model": "vendor/m", "thinking": True}, tmp_path)
    assert request.model == "vendor/m"
    assert request.body["reasoning"] == {"enabled": True}
    assert header(request, "x-title") == "rolecall"


async def test_a_proxy_of_the_environment_is_not_for_the_users_own_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for number, (provider, shape) in enumerate((("openai_compatible", Shape.OPENAI), ("ollama", Shape.OLLAMA))):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert await asked({"provider": provider, "model": "scripted"}, folder, shape=shape)
