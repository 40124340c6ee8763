"""The registry as nodes and agents use it."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool

from core.config.settings import Settings
from core.errors import BudgetError, Exit, ModelError, UsageError
from core.replies import CallSite
from core.storage.database import Database
from llm_registry.overrides import with_overrides
from llm_registry.records.call_log import CallLog
from llm_registry.registry import open_registry
from tests.modelserver.faults import Fault
from tests.modelserver.info import Shape
from tests.modelserver.reply import Call, Reply, call, call_all, fail, say
from tests.modelserver.request import ModelRequest
from tests.modelserver.server import ModelServer, closed_port
from tests.unit.llm_registry.raw import paths
from tests.unit.llm_registry.rig import HELLO, SITE, Ear, chat_spec, registry, settings_of


@contextmanager
def deaf_to_stream(path: str) -> Iterator[tuple[str, list[bool]]]:
    """A server that answers in one piece whatever it is asked; gives its address and whether a stream was wanted."""
    wanted: list[bool] = []
    body = {
        "id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "all at once"}}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8},
    }  # fmt: skip

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            wanted.append(bool(asked.get("stream")))
            answer = json.dumps(body).encode()
            self.send_response(200 if self.path == path else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1", wanted
    server.shutdown()
    thread.join()
    server.server_close()


@tool
def read_file(path: str) -> str:
    """Read a file."""
    return f"contents of {path}"


@pytest.mark.parametrize("protocol", ["chat", "responses", "ollama"])
async def test_all_protocols_give_the_same_reply(protocol: str, tmp_path: Path) -> None:
    def answer(request: ModelRequest) -> Reply:
        if request.tools:
            return Reply(reasoning="I need the file.", tool_calls=(Call("read_file", {"path": "a.py"}, id="call_7"),))
        return say("Forty-two.", reasoning="Six times seven.", reasoning_style="think")

    shape = Shape.OLLAMA if protocol == "ollama" else Shape.OPENAI
    with ModelServer(answer, shape=shape) as server:
        spec = chat_spec(server, api=protocol) if protocol != "ollama" else {
            "provider": "ollama", "model": "scripted", "base_url": server.url, "thinking": True}  # fmt: skip
        async with registry({"primary": spec}, tmp_path) as models:
            words = await models.chat("primary", HELLO, site=SITE)
            calls = await models.chat("primary", HELLO, site=SITE, tools=[read_file])
        assert {request.path for request in server.requests} == {
            {"chat": "/v1/chat/completions", "responses": "/v1/responses", "ollama": "/api/chat"}[protocol]
        }
    assert (words.text, words.reasoning, words.finish_reason) == ("Forty-two.", "Six times seven.", "stop")
    assert [(made.name, made.args) for made in calls.tool_calls] == [("read_file", {"path": "a.py"})]
    assert (calls.text, calls.reasoning, calls.finish_reason) == ("", "I need the file.", "tool_calls")
    for reply in (words, calls):
        assert reply.usage.input_tokens
        assert reply.usage.output_tokens
        assert reply.first_token_s is not None
        assert (reply.role, reply.spec, reply.reason) == ("primary", "primary:scripted", "first choice")


async def test_responses_are_used_where_the_server_has_them_and_asked_for_once(tmp_path: Path) -> None:
    for responses, path in ((True, "/v1/responses"), (False, "/v1/chat/completions")):
        folder = tmp_path / str(responses)
        folder.mkdir()
        with ModelServer(lambda _: say("hi"), responses=responses) as server:
            llm = {"primary": chat_spec(server, api="auto")}
            async with registry(llm, folder) as models:
                await models.assign()
                await models.chat("primary", HELLO, site=SITE)
            async with registry(llm, folder) as models:  # without a look: what was learnt is remembered
                await models.chat("primary", HELLO, site=SITE)
            assert [request.path for request in server.requests] == [path, path]


async def test_responses_that_do_not_work_are_given_up_for_good(tmp_path: Path) -> None:
    def answer(request: ModelRequest) -> Reply:
        return fail(Fault.NO_ENDPOINT) if request.path == "/v1/responses" else say("hi")

    with ModelServer(answer) as server:
        async with registry({"primary": chat_spec(server, api="auto")}, tmp_path) as models:
            await models.assign()
            for _ in range(2):
                assert (await models.chat("primary", HELLO, site=SITE)).text == "hi"
        assert [request.path for request in server.requests] == ["/v1/responses", *["/v1/chat/completions"] * 2]


@pytest.mark.parametrize("protocol", ["chat", "responses", "ollama"])
async def test_an_agent_loop_runs_on_a_role_and_recovers_from_malformed_calls(protocol: str, tmp_path: Path) -> None:
    def answer(request: ModelRequest) -> Reply:
        if request.tool_results:
            return say(f"It says: {request.tool_results[-1].text}")
        if request.index == 0:
            return fail(Fault.ARGUMENTS_BROKEN, call("read_file", path="a.py"))
        return call("read_file", path="a.py").but(reasoning="I must read it.")

    with ModelServer(answer, shape=Shape.OLLAMA if protocol == "ollama" else Shape.OPENAI) as server:
        spec = chat_spec(server, api=protocol) if protocol != "ollama" else {
            "provider": "ollama", "model": "scripted", "base_url": server.url}  # fmt: skip
        async with registry({"primary": spec}, tmp_path) as models:
            site = CallSite(node="implement")
            agent = create_agent(models.chat_model("coder", site=site), [read_file])
            done = await agent.ainvoke({"messages": [HumanMessage("What does a.py say?")]})
            usage = models.usage()["coder"]
    assert done["messages"][-1].text == "It says: contents of a.py"
    assert [message.text for message in done["messages"] if isinstance(message, ToolMessage)] == ["contents of a.py"]
    about = done["messages"][1].response_metadata["rolecall"]
    assert about == {"role": "coder", "spec": "primary:scripted", "reason": "first choice"}
    assert usage.calls == 3
    assert usage.specs == ("primary:scripted",)


async def test_parallel_calls_stay_apart(tmp_path: Path) -> None:
    two = call_all(Call("read_file", {"path": "a"}), Call("read_file", {"path": "b"}), text="Both.")
    for api in ("chat", "responses"):
        folder = tmp_path / api
        folder.mkdir()
        with ModelServer(lambda _: two) as server:
            async with registry({"primary": chat_spec(server, api=api)}, folder) as models:
                reply = await models.chat("primary", HELLO, site=SITE, tools=[read_file])
        assert [made.args["path"] for made in reply.tool_calls] == ["a", "b"]
        assert len({made.id for made in reply.tool_calls}) == 2
        assert reply.text == "Both."


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ({"max_model_calls": 2}, ["2 of 2 model calls", "budget.max_model_calls"]),
        ({"max_tokens": 5}, ["tokens", "--max-tokens"]),
        ({"max_cost_usd": 0.0001}, ["$", "--max-cost"]),
    ],
)
async def test_a_budget_holds_over_all_runs_of_a_thread(
    limit: dict[str, Any], words: list[str], tmp_path: Path
) -> None:
    with ModelServer(lambda _: say("a few words")) as server:
        llm = {"primary": chat_spec(server, cost={"input": 50, "output": 50})}
        for _ in range(2):
            async with registry(llm, tmp_path) as models:
                await models.chat("primary", HELLO, site=SITE)
        async with registry(llm, tmp_path, **limit) as models:
            assert models.usage()["primary"].calls == 2
            with pytest.raises(BudgetError) as caught:
                await models.chat("coder", HELLO, site=SITE)
        assert len(server.requests) == 2
    assert caught.value.exit_code is Exit.BUDGET
    said = f"{caught.value.message} {caught.value.hint}"
    assert [word for word in words if word not in said] == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"codr": "primary"}, ["unknown role", "`coder`", "supervisor"]),
        ({"coder": "primry"}, ["unknown model", "`primary`"]),
        ({"coder": "olama:x"}, ["unknown model", "`ollama:`"]),
    ],
)
def test_a_wrong_override_names_near_matches(given: dict[str, str], words: list[str]) -> None:
    settings = settings_of({"primary": chat_spec("http://127.0.0.1:1/v1")})
    with pytest.raises(UsageError) as caught:
        with_overrides(settings, given)
    said = f"{caught.value.message} {caught.value.hint}"
    assert [word for word in words if word not in said] == []


async def test_an_override_serves_one_role_and_says_what_the_server_offers(tmp_path: Path) -> None:
    with ModelServer(lambda _: say("hi"), shape=Shape.OLLAMA, models=("qwen3:8b", "phi3:mini")) as server:
        llm = {"primary": {"provider": "ollama", "model": "qwen3:8b", "base_url": server.url}}
        async with registry(llm, tmp_path, models={"coder": f"ollama:phi3:mini@{server.url}"}) as models:
            served = await models.assign()
            assert (served["coder"].spec, served["primary"].spec) == ("coder:phi3:mini", "primary:qwen3:8b")
            await models.chat("coder", HELLO, site=SITE)
        assert server.requests[-1].model == "phi3:mini"
        async with registry(llm, tmp_path, models={"coder": "ollama:phi3:medium"}) as models:
            with pytest.raises(UsageError) as caught:
                await models.assign()
    assert "`phi3:mini`" in caught.value.message
    assert "qwen3:8b" in caught.value.hint


async def test_secrets_reach_neither_book_nor_events(tmp_path: Path) -> None:
    key = "hunter2-hunter2-hunter2"

    def leak(request: ModelRequest) -> Reply:
        return Reply(status=401, body=json.dumps({"error": {"message": f"bad key {key}", "type": "auth"}}))

    ear = Ear()
    with ModelServer(leak) as server:
        async with registry({"primary": chat_spec(server, api_key=key)}, tmp_path, ear=ear) as models:
            with pytest.raises(ModelError) as caught:
                await models.chat("primary", HELLO, site=SITE)
        assert server.requests[0].headers.get("Authorization") == f"Bearer {key}"
    assert key not in f"{caught.value.message} {ear.heard}"
    assert all(key.encode() not in path.read_bytes() for path in tmp_path.iterdir() if path.is_file())


async def test_a_scripted_provider_answers_in_order_and_is_loud_when_used_up(tmp_path: Path) -> None:
    script = tmp_path / "answers.json"
    script.write_text(
        json.dumps(
            [
                "one",
                {"error": "overloaded", "retry_after": 0},
                {"tool_calls": [{"name": "read_file", "args": {"path": "x"}}]},
            ]
        )
    )
    llm = {"primary": {"provider": "scripted", "options": {"script": str(script)}}}
    async with registry(llm, tmp_path) as models:
        assert (await models.chat("primary", HELLO, site=SITE)).text == "one"
        second = await models.chat("primary", HELLO, site=SITE, tools=[read_file])
        assert (second.tool_calls[0].args, second.attempts) == ({"path": "x"}, 2)
        with pytest.raises(ModelError, match="the script contains 3 answers"):
            await models.chat("primary", HELLO, site=SITE)


async def test_a_server_that_dies_and_comes_back_is_used_again(tmp_path: Path) -> None:
    with ModelServer(lambda _: say("hi")) as server:
        llm = {"primary": chat_spec(server)}
        async with registry(llm, tmp_path) as models:
            await models.chat("primary", HELLO, site=SITE)
            server.stop()
            with pytest.raises(ModelError, match="refused"):
                await models.chat("primary", HELLO, site=SITE)
            server.start()
            with pytest.raises(ModelError, match="next retry in"):
                await models.chat("primary", HELLO, site=SITE)
            await models.assign()
            assert (await models.chat("primary", HELLO, site=SITE)).text == "hi"


async def test_a_role_of_its_own_that_a_tool_uses_is_served(tmp_path: Path) -> None:
    with ModelServer(lambda _: say("a poem")) as server:
        async with registry({"poet": chat_spec(server)}, tmp_path) as models:
            assert (await models.chat("poet", HELLO, site=SITE)).text == "a poem"
            assert (await models.assign())["poet"].spec == "poet:scripted"


async def test_an_unreachable_endpoint_is_not_waited_for_twice_by_another_run(tmp_path: Path) -> None:
    llm = {"primary": chat_spec(f"http://127.0.0.1:{closed_port()}/v1")}
    for words in ("nothing is listening on", "next retry in"):
        async with registry(llm, tmp_path) as models:
            with pytest.raises(ModelError, match=words):
                await models.chat("primary", HELLO, site=SITE)


async def test_a_server_that_fails_to_list_its_models_may_serve_all_the_same(tmp_path: Path) -> None:
    for status, serves in ((500, "primary:m"), (502, "embedded")):
        async with paths({}, {"/v1/models": status}) as url:
            spec = {"provider": "openai_compatible", "model": "m", "base_url": f"{url}/v1", "fallback": ["embedded"]}
            async with registry({"primary": spec}, tmp_path) as models:
                assert (await models.assign())["primary"].spec == serves


async def test_an_unknown_price_is_told_where_a_cost_limit_is_set(tmp_path: Path) -> None:
    ear = Ear()
    with ModelServer(lambda _: say("hi")) as server:
        async with registry({"primary": chat_spec(server)}, tmp_path, ear=ear, max_cost_usd=1.0) as models:
            for _ in range(3):
                await models.chat("primary", HELLO, site=SITE)
            assert models.usage()["primary"].cost_usd is None
    (warning,) = ear.of("warning")
    assert "price of 1 model calls is unknown" in warning["message"]


async def test_a_server_that_loads_its_model_is_waited_for_where_no_other_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_registry.fallback.fallback._LONGEST_PAUSE_S", 0.05)
    with ModelServer([fail(Fault.LOADING)] * 4 + [say("loaded")]) as server:
        async with registry({"primary": chat_spec(server, fallback=["embedded"])}, tmp_path) as models:
            reply = await models.chat("primary", HELLO, site=SITE)
    assert (reply.text, reply.attempts) == ("loaded", 5)


async def test_a_server_that_cannot_stream_is_asked_for_whole_answers(tmp_path: Path) -> None:
    with deaf_to_stream("/v1/chat/completions") as (url, wanted):
        for _ in range(2):
            async with registry({"primary": chat_spec(url)}, tmp_path) as models:
                reply = await models.chat("primary", HELLO, site=SITE)
                assert (reply.text, reply.usage.output_tokens) == ("all at once", 3)
    assert wanted == [True, True, False, False]


async def test_a_cancelled_call_is_in_the_book(tmp_path: Path) -> None:
    with ModelServer([fail(Fault.HANG_BEFORE_HEADERS)]) as server:
        async with registry({"primary": chat_spec(server)}, tmp_path) as models:
            asked = asyncio.create_task(models.chat("primary", HELLO, site=SITE))
            while not server.requests:
                await asyncio.sleep(0.02)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
    (figures,) = await CallLog(Database(tmp_path / "book.db")).figures()
    assert figures.failures == {"cancelled": 1}


async def test_a_call_from_outside_needs_no_place_and_no_message_classes(tmp_path: Path) -> None:
    with ModelServer(lambda _: say("hi")) as server:
        async with registry({"coder": chat_spec(server)}, tmp_path) as models:
            question = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "hello"}]
            reply = await models.chat("coding", question)
        sent = server.requests[-1].body["messages"]
    assert (reply.text, reply.role) == ("hi", "coder")
    assert [(one["role"], one["content"]) for one in sent] == [("system", "Be short."), ("user", "hello")]


async def test_a_named_model_that_serves_a_tool_is_looked_at(tmp_path: Path) -> None:
    dead = chat_spec(f"http://127.0.0.1:{closed_port()}/v1")
    settings = Settings.model_validate({"llm": {"models": {"small": dead}}, "tools": {"ask": {"role": "small"}}})
    async with open_registry(
        settings, thread_id="t", database=Database(tmp_path / "book.db"), events=Ear(), state_dir=tmp_path
    ) as models:
        assert (await models.assign())["small"].spec == ""
