"""Ollama's own protocol, through the `ollama` package and langchain-ollama."""

import json

import httpx
import ollama
import pytest
from langchain_ollama import ChatOllama
from pydantic import BaseModel

from tests.modelserver.info import Shape
from tests.modelserver.reply import Call, Reply, call_all, give, say
from tests.modelserver.server import ModelServer
from tests.unit.modelserver.test_chat import WEATHER


class Verdict(BaseModel):
    """A judgement."""

    ok: bool
    reason: str


def serve(script, **options) -> ModelServer:
    return ModelServer(script, shape=Shape.OLLAMA, **options)


def client(server: ModelServer, **options) -> ChatOllama:
    return ChatOllama(model="scripted", base_url=server.url, **options)


async def test_the_official_client_reads_a_whole_answer() -> None:
    with serve(say("Good evening.", reasoning="They greet.")) as server:
        answer = await ollama.AsyncClient(host=server.url).chat(
            "scripted", [{"role": "user", "content": "hi"}], think=True
        )
    assert answer.message.content == "Good evening."
    assert answer.message.thinking == "They greet."
    assert answer.done
    assert answer.done_reason == "stop"
    assert answer.prompt_eval_count == server.requests[0].prompt_tokens
    assert answer.eval_count == 6


async def test_the_official_client_reads_a_stream() -> None:
    with serve(say("abcdefghij", piece=3)) as server:
        stream = await ollama.AsyncClient(host=server.url).chat(
            "scripted", [{"role": "user", "content": "hi"}], stream=True
        )
        parts = [part async for part in stream]
    assert [p.message.content for p in parts] == ["abc", "def", "ghi", "j", ""]
    assert [p.done for p in parts] == [False] * 4 + [True]


async def test_langchain_gets_text_and_usage() -> None:
    with serve(say("Good evening.")) as server:
        message = await client(server).ainvoke("Hello there")
    assert message.content == "Good evening."
    assert message.usage_metadata["input_tokens"] == server.requests[0].prompt_tokens
    assert message.response_metadata["done_reason"] == "stop"


async def test_langchain_gets_parallel_tool_calls() -> None:
    reply = call_all(Call("get_weather", {"city": "Oslo"}), Call("get_weather", {"city": "Rome"}))
    with serve(reply) as server:
        message = await client(server).bind_tools([WEATHER]).ainvoke("weather?")
    assert [c["args"] for c in message.tool_calls] == [{"city": "Oslo"}, {"city": "Rome"}]


async def test_reasoning_reaches_langchain() -> None:
    with serve(say("Four.", reasoning="Two and two.")) as server:
        message = await client(server, reasoning=True).ainvoke("2+2")
    assert message.content == "Four."
    assert message.additional_kwargs["reasoning_content"] == "Two and two."
    assert server.requests[0].body["think"] is True


@pytest.mark.parametrize(
    ("method", "seen"),
    [("json_schema", "json_schema"), ("function_calling", "tools"), ("json_mode", "json_mode")],
)
async def test_an_object_is_given_the_way_it_is_asked_for(method, seen) -> None:
    with serve(give({"ok": True, "reason": "fine"})) as server:
        model = client(server).with_structured_output(Verdict, method=method)
        verdict = await model.ainvoke("Judge in JSON.")
    assert verdict == Verdict(ok=True, reason="fine")
    assert server.requests[0].method == seen


@pytest.mark.parametrize(("num_ctx", "told"), [(None, 64), (32, 32), (4096, 257)])
async def test_a_long_prompt_is_cut_without_a_word(num_ctx, told) -> None:
    with serve(say("ok"), context=64) as server:
        message = await client(server, num_ctx=num_ctx).ainvoke("abcd" * 253)
    assert server.requests[0].prompt_tokens == 257
    assert message.usage_metadata["input_tokens"] == told


async def test_the_server_tells_about_its_models() -> None:
    with serve(say("ok"), models=("a:latest", "b"), context=8192, strict_models=True) as server:
        asked = ollama.AsyncClient(host=server.url)
        listed = [model.model for model in (await asked.list()).models]
        loaded = (await asked.ps()).models
        shown = await asked.show("a")
        with pytest.raises(ollama.ResponseError, match="model 'c' not found") as missing:
            await asked.show("c")
        version = httpx.get(f"{server.url}/api/version").json()
    assert listed == ["a:latest", "b"]
    assert loaded[0].context_length == 8192
    assert shown.modelinfo["scripted.context_length"] == 131072
    assert "tools" in shown.capabilities
    assert missing.value.status_code == 404
    assert "version" in version


async def test_generate_answers_whole_and_in_a_stream() -> None:
    with serve(say("abcdef", piece=4)) as server:
        asked = ollama.AsyncClient(host=server.url)
        whole = await asked.generate("scripted", "say it", system="Be brief.")
        parts = [p.response async for p in await asked.generate("scripted", "say it", stream=True)]
    assert whole.response == "abcdef"
    assert parts == ["abcd", "ef", ""]
    assert server.requests[0].system == "Be brief."


def test_an_empty_conversation_loads_or_unloads_the_model() -> None:
    with serve([]) as server:
        unload = {"model": "scripted", "messages": [], "keep_alive": 0}
        answer = httpx.post(f"{server.url}/api/chat", json=unload).json()
    assert answer["done_reason"] == "unload"
    assert server.errors == []


def test_the_openai_protocol_is_there_too() -> None:
    with serve(say("ok")) as server:
        body = {"messages": [{"role": "user", "content": "hi"}]}
        answer = httpx.post(f"{server.v1}/chat/completions", json=body).json()
        props = httpx.get(f"{server.url}/props")
    assert answer["choices"][0]["message"]["content"] == "ok"
    assert props.status_code == 404


def test_an_error_has_the_form_of_this_protocol() -> None:
    with serve(Reply(status=503)) as server:
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        answer = httpx.post(f"{server.url}/api/chat", json=body)
    assert answer.status_code == 503
    assert json.loads(answer.text) == {"error": "scripted status 503"}
