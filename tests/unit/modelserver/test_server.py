"""What a server tells about itself, and what it remembers of its callers."""

import asyncio
import itertools

import httpx
import pytest

from tests.modelserver.faults import Fault
from tests.modelserver.info import Shape
from tests.modelserver.reply import Reply, fail, give, say
from tests.modelserver.script import Rule, Rules, When
from tests.modelserver.server import ModelServer
from tests.unit.modelserver.protocols import PROTOCOLS

CHAT = PROTOCOLS[0]


async def test_the_most_calls_at_one_time_are_counted_by_path() -> None:
    with ModelServer(say("slow", delay=0.3)) as server:
        async with httpx.AsyncClient() as http:
            body = CHAT.body(stream=False)
            calls = [http.post(f"{server.v1}/chat/completions", json=body) for _ in range(4)]
            await asyncio.gather(*calls, http.get(f"{server.v1}/models"))
            assert server.record.calls_in_flight == 0
            await http.post(f"{server.v1}/responses", json={"input": "hi"})
    assert server.max_in_flight["/v1/chat/completions"] == 4
    assert server.max_in_flight["/v1/responses"] == 1
    assert server.max_in_flight["/v1/models"] == 1
    assert server.record.max_calls_in_flight == 4
    assert len(server.requests) == 5


async def test_a_caller_who_hangs_up_is_noticed() -> None:
    with ModelServer(fail(Fault.HANG_BEFORE_HEADERS)) as server:
        async with httpx.AsyncClient(timeout=0.2) as http:
            with pytest.raises(httpx.ReadTimeout):
                await http.post(f"{server.v1}/chat/completions", json=CHAT.body(stream=True))
        for _ in range(100):
            if server.record.abandoned:
                break
            await asyncio.sleep(0.02)
        assert server.record.abandoned == 1
        assert server.record.calls_in_flight == 0


def test_a_stopped_server_refuses_and_comes_back_on_its_port_with_its_memory() -> None:
    with ModelServer([say("one"), say("two")]) as server:
        port = server.port
        assert CHAT.ask(server, stream=False).status_code == 200
        server.stop()
        with pytest.raises(httpx.ConnectError):
            CHAT.ask(server, stream=False)
        server.start()
        assert server.port == port
        assert CHAT.read(CHAT.ask(server, stream=True), stream=True).text == "two"
    assert len(server.requests) == 2


def test_stopping_breaks_off_the_calls_in_flight() -> None:
    with (
        ModelServer(say("abcdefgh", piece=1, pace=0.2)) as server,
        httpx.stream("POST", f"{server.v1}/chat/completions", json=CHAT.body(stream=True)) as got,
    ):
        lines = got.iter_lines()
        next(lines)
        server.stop()
        with pytest.raises(httpx.RemoteProtocolError):
            list(lines)


def test_a_port_that_is_taken_is_an_error_at_the_start() -> None:
    with ModelServer(say("x")) as server, pytest.raises(OSError, match="address already in use"):
        ModelServer(say("y"), port=server.port).start()


def test_rules_are_tried_in_order_and_used_up() -> None:
    rules = Rules(
        [
            Rule(say("only twice"), When(last_contains="look"), times=2),
            Rule(lambda request: say(f"call {request.index}"), When(stream=False)),
        ]
    )
    with ModelServer(rules) as server:
        said = [CHAT.read(CHAT.ask(server, stream=False), stream=False).text for _ in range(3)]
        streamed = CHAT.ask(server, stream=True)
    assert said == ["only twice", "only twice", "call 2"]
    assert streamed.status_code == 500
    assert "no rule is left for request 3 to /v1/chat/completions" in server.errors[0]


def test_a_script_that_raises_is_told_to_both_sides() -> None:
    with ModelServer(lambda request: request.nonsense) as server:
        answer = CHAT.ask(server, stream=False)
    assert answer.status_code == 500
    assert answer.json()["error"]["type"] == "script_failed"
    assert "nonsense" in server.errors[0]


def test_an_unfit_request_is_refused() -> None:
    with ModelServer(say("x")) as server:
        url = f"{server.v1}/chat/completions"
        broken = httpx.post(url, content="{")
        without = httpx.post(url, json={"model": "m"})
        no_input = httpx.post(f"{server.v1}/responses", json={"model": "m"})
        nowhere = httpx.get(f"{server.url}/v2/models")
    assert [r.status_code for r in (broken, without, no_input, nowhere)] == [400, 400, 400, 404]
    assert "'messages' is required" in without.json()["error"]["message"]
    assert server.requests == []


def test_a_key_is_asked_of_every_request() -> None:
    with ModelServer(say("x"), api_key="sk-test") as server:
        good = {"Authorization": "Bearer sk-test"}
        codes = [
            httpx.get(f"{server.v1}/models", headers=headers).status_code
            for headers in ({}, {"Authorization": "Bearer other"}, good)
        ]
    assert codes == [401, 401, 200]


def test_a_strict_server_knows_its_models_only() -> None:
    with ModelServer(say("x"), models=("a",), strict_models=True) as server:
        answer = CHAT.ask(server, stream=False)
    assert answer.status_code == 404
    assert "model 'scripted' not found" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (Shape.OPENAI, "exceed_context_size_error"),
        (Shape.VLLM, "maximum context length is 16 tokens"),
        (Shape.LM_STUDIO, "context length of only 16 tokens"),
    ],
)
def test_a_prompt_longer_than_the_window_is_refused_in_the_words_of_the_server(shape, words) -> None:
    body = {"messages": [{"role": "user", "content": "word " * 40}]}
    with ModelServer(say("x"), shape=shape, context=16, enforce_context=True) as server:
        long = httpx.post(f"{server.v1}/chat/completions", json=body)
        short = CHAT.ask(server, stream=False)
    assert long.status_code == 400
    assert words in long.text
    assert short.status_code == 200


def test_llama_cpp_tells_its_window_slots_and_tokens() -> None:
    with ModelServer(say("x"), context=4096) as server, httpx.Client(base_url=server.url) as http:
        props = http.get("/props").json()
        slots = http.get("/slots").json()
        models = http.get("/v1/models").json()["data"]
        tokens = http.post("/tokenize", json={"content": "abcdefghi"}).json()["tokens"]
        health = http.get("/health").json()
        absent = http.get("/api/tags")
    assert props["default_generation_settings"]["n_ctx"] == 4096
    assert slots[0]["n_ctx"] == 4096
    assert slots[0]["is_processing"] is False
    assert models[0]["meta"]["n_ctx_train"] == 131072
    assert len(tokens) == 3
    assert health == {"status": "ok"}
    assert absent.status_code == 404


def test_vllm_and_lm_studio_tell_their_window_in_their_own_way() -> None:
    with ModelServer(say("x"), shape=Shape.VLLM, context=4096) as server:
        listed = httpx.get(f"{server.v1}/models").json()["data"]
        assert httpx.get(f"{server.url}/props").status_code == 404
    with ModelServer(say("x"), shape=Shape.LM_STUDIO, context=2048) as server:
        told = httpx.get(f"{server.url}/api/v0/models").json()["data"]
    assert listed[0]["max_model_len"] == 4096
    assert told[0]["loaded_context_length"] == 2048


async def test_a_busy_slot_is_seen() -> None:
    with ModelServer(say("slow", delay=0.5)) as server:
        async with httpx.AsyncClient() as http:
            url = f"{server.v1}/chat/completions"
            call = asyncio.create_task(http.post(url, json=CHAT.body(stream=False)))
            while not server.requests:
                await asyncio.sleep(0.01)
            assert (await http.get(f"{server.url}/slots")).json()[0]["is_processing"] is True
            await call


def test_connections_are_kept_when_wanted() -> None:
    for keep in (False, True):
        with ModelServer(give({}), keep_alive=keep) as server:
            answer = CHAT.ask(server, stream=False)
        assert answer.headers.get("connection") == (None if keep else "close")


def test_a_reply_with_a_wrong_style_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="reasoning_style 'loud'"):
        Reply(reasoning="x", reasoning_style="loud")


def test_ids_of_calls_and_answers_differ() -> None:
    with ModelServer(say("x")) as server:
        ids = [CHAT.ask(server, stream=False).json()["id"] for _ in range(3)]
    assert all(a != b for a, b in itertools.pairwise(ids))
