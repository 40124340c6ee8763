"""Chains on real servers: order, reasons, dead endpoints, paid models, windows."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from core.errors import BudgetError, ConfigError, Exit, ModelError, NeedsModelError
from tests.modelserver.faults import Fault
from tests.modelserver.info import Shape
from tests.modelserver.reply import Reply, call, fail, http_error, say
from tests.modelserver.request import ModelRequest
from tests.modelserver.server import ModelServer, closed_port
from tests.unit.llm_registry.rig import HELLO, SITE, Ear, chat_spec, registry


@pytest.fixture
def good() -> Iterator[ModelServer]:
    with ModelServer(lambda _: say("hello yourself")) as server:
        yield server


@pytest.fixture
def deaf_url() -> Iterator[str]:
    """An address where connections are neither taken nor refused, as with a host that is switched off."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        time.sleep(0.1)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


async def test_the_first_that_can_serves_and_the_reply_says_why(good: ModelServer, tmp_path: Path) -> None:
    dead = f"http://127.0.0.1:{closed_port()}/v1"
    llm = {"primary": chat_spec(dead, fallback=["spare"]), "models": {"spare": chat_spec(good)}}
    ear = Ear()
    async with registry(llm, tmp_path, ear=ear) as models:
        await models.chat("spare", HELLO, site=SITE)  # imports what it needs, which takes its time
        first = await models.chat("primary", HELLO, site=SITE)
        second = await models.chat("coder", HELLO, site=SITE)
    assert (first.text, first.spec) == ("hello yourself", "spare")
    assert "nothing is listening" in first.reason
    assert dead in first.reason
    assert "next retry in" in second.reason
    assert [(told["from"], told["to"], told["paid"]) for told in ear.of("model_fallback")] == [
        ("primary:scripted", "spare", False), ("primary:scripted", "spare", False),
    ]  # fmt: skip


async def test_three_roles_pay_the_connect_timeout_of_one_dead_endpoint_once(
    good: ModelServer, deaf_url: str, tmp_path: Path
) -> None:
    spec = chat_spec(deaf_url, fallback=["spare"])
    llm = {"primary": spec, "coder": spec, "summarizer": spec, "models": {"spare": chat_spec(good)}}
    async with registry(llm, tmp_path) as models:
        await models.chat("spare", HELLO, site=SITE)
        began = time.monotonic()
        replies = await asyncio.gather(
            *(models.chat(role, HELLO, site=SITE) for role in ("primary", "coder", "summarizer"))
        )
        seconds = time.monotonic() - began
    assert {reply.spec for reply in replies} == {"spare"}
    assert sum("accepted no connection" in reply.reason and "next retry" not in reply.reason for reply in replies) == 1
    assert 1.0 <= seconds < 2.9


async def test_nothing_that_listens_is_found_out_in_less_than_a_second(tmp_path: Path) -> None:
    roles = ("primary", "coder", "router", "summarizer")
    llm = {role: chat_spec(f"http://127.0.0.1:{closed_port()}/v1", fallback=["embedded"]) for role in roles}
    async with registry(llm, tmp_path) as models:
        began = time.monotonic()
        served = await models.assign()
        seconds = time.monotonic() - began
    assert seconds < 1.0
    assert {served[role].spec for role in roles} == {"embedded"}
    assert "nothing is listening there" in served["primary"].reason


async def test_a_host_that_is_switched_off_holds_up_the_start_for_one_connect_timeout(
    deaf_url: str, tmp_path: Path
) -> None:
    spec = chat_spec(deaf_url, fallback=["embedded"], timeouts={"connect": 1.2})
    async with registry(dict.fromkeys(("primary", "coder", "summarizer"), spec), tmp_path) as models:
        began = time.monotonic()
        served = await models.assign()
        seconds = time.monotonic() - began
    assert 1.2 <= seconds < 2.0
    assert served["summarizer"].spec == "embedded"


async def test_the_look_before_the_run_spares_every_role_the_dead_endpoint(good: ModelServer, tmp_path: Path) -> None:
    dead = f"http://127.0.0.1:{closed_port()}/v1"
    llm = {"primary": chat_spec(dead, fallback=["spare"]), "models": {"spare": chat_spec(good)}}
    ear = Ear()
    async with registry(llm, tmp_path, ear=ear) as models:
        await models.assign()
        await models.chat("reasoning", HELLO, site=SITE)
    (told,) = ear.of("roles")
    assert told["roles"]["reasoning"]["spec"] == "spare"
    assert [data["spec"] for data in ear.of("model_started")] == ["spare"]


async def test_a_chain_that_is_used_up_lists_what_happened_to_each(tmp_path: Path) -> None:
    urls = [f"http://127.0.0.1:{closed_port()}/v1" for _ in range(2)]
    llm = {"primary": chat_spec(urls[0], fallback=["research"]), "research": chat_spec(urls[1], enabled=False)}
    async with registry(llm, tmp_path) as models:
        with pytest.raises(ModelError) as caught:
            await models.chat("primary", HELLO, site=SITE)
    assert caught.value.exit_code is Exit.NO_MODEL
    assert "primary:scripted: refused" in caught.value.message
    assert "research:scripted is disabled" in caught.value.message
    assert "fallback" in caught.value.hint


async def test_without_configuration_the_embedded_engine_answers_for_itself(tmp_path: Path) -> None:
    async with registry({}, tmp_path) as models:
        assert {served.spec for served in (await models.assign()).values()} == {"embedded"}
        with pytest.raises(NeedsModelError):
            await models.chat("primary", HELLO, site=SITE)


async def test_a_paid_model_is_announced(good: ModelServer, tmp_path: Path) -> None:
    dead = f"http://127.0.0.1:{closed_port()}/v1"
    paid = chat_spec(good, cost={"input": 3, "output": 15})
    ear = Ear()
    llm = {"primary": chat_spec(dead, fallback=["cloud"]), "models": {"cloud": paid}}
    async with registry(llm, tmp_path, ear=ear) as models:
        reply = await models.chat("primary", HELLO, site=SITE)
    assert [told["paid"] for told in ear.of("model_fallback")] == [True]
    assert reply.usage.input_tokens
    assert reply.usage.output_tokens
    price = (3 * reply.usage.input_tokens + 15 * reply.usage.output_tokens) / 1e6
    assert reply.cost_usd == pytest.approx(price)


async def test_a_fallback_that_lasts_is_told_once_and_a_paid_one_each_time(good: ModelServer, tmp_path: Path) -> None:
    dead = f"http://127.0.0.1:{closed_port()}/v1"
    for cost, told in ((None, 1), ({"input": 3, "output": 15}, 3)):
        folder = tmp_path / str(told)
        folder.mkdir()
        llm = {"primary": chat_spec(dead, fallback=["spare"]), "models": {"spare": chat_spec(good, cost=cost)}}
        ear = Ear()
        async with registry(llm, folder, ear=ear) as models:
            for _ in range(3):
                await models.chat("primary", HELLO, site=SITE)
        assert len(ear.of("model_fallback")) == told


async def test_a_paid_model_is_announced_when_a_prompt_is_too_long_for_the_free_one(tmp_path: Path) -> None:
    with ModelServer(lambda _: say("large")) as server:
        llm = {
            "primary": chat_spec(server, context_length=1000, fallback=["cloud"]),
            "models": {"cloud": chat_spec(server, cost={"input": 3, "output": 15}, context_length=100_000)},
        }
        ear = Ear()
        async with registry(llm, tmp_path, ear=ear) as models:
            await models.chat("primary", [HELLO[0].model_copy(update={"content": "word " * 4000})], site=SITE)
    assert [(told["to"], told["paid"]) for told in ear.of("model_fallback")] == [("cloud", True)]


async def test_a_paid_model_is_announced_where_the_free_one_is_disabled(good: ModelServer, tmp_path: Path) -> None:
    for cost, told in (({"input": 3, "output": 15}, [("primary:scripted", "spare", True)]), (None, [])):
        folder = tmp_path / str(bool(cost))
        folder.mkdir()
        llm = {
            "primary": chat_spec(good, enabled=False, fallback=["spare"]),
            "models": {"spare": chat_spec(good, cost=cost)},
        }
        ear = Ear()
        async with registry(llm, folder, ear=ear) as models:
            assert (await models.chat("primary", HELLO, site=SITE)).reason == "primary:scripted is disabled"
        assert [(event["from"], event["to"], event["paid"]) for event in ear.of("model_fallback")] == told


async def test_a_disabled_spec_behind_the_first_is_no_reason_for_it(good: ModelServer, tmp_path: Path) -> None:
    llm = {"primary": chat_spec(good, fallback=["off"]), "models": {"off": chat_spec(good, enabled=False)}}
    async with registry(llm, tmp_path) as models:
        assert (await models.assign())["primary"].reason == "first choice"
        assert (await models.chat("primary", HELLO, site=SITE)).reason == "first choice"


async def test_a_paid_model_outside_the_chain_is_never_asked(good: ModelServer, tmp_path: Path) -> None:
    dead = f"http://127.0.0.1:{closed_port()}/v1"
    llm = {"primary": chat_spec(dead), "research": chat_spec(good, cost={"input": 3, "output": 15})}
    async with registry(llm, tmp_path) as models:
        with pytest.raises(ModelError):
            await models.chat("primary", HELLO, site=SITE)
    assert good.requests == []


async def test_a_prompt_too_long_for_one_goes_to_the_next_whose_window_holds_it(tmp_path: Path) -> None:
    with ModelServer(lambda _: say("small")) as small, ModelServer(lambda _: say("large")) as large:
        llm = {
            "primary": chat_spec(small, context_length=1000, fallback=["also_small", "large"]),
            "models": {
                "also_small": chat_spec(small, context_length=900),
                "large": chat_spec(large, context_length=32000),
            },
        }
        async with registry(llm, tmp_path) as models:
            long = await models.chat("primary", [HELLO[0].model_copy(update={"content": "word " * 4000})], site=SITE)
            short = await models.chat("primary", HELLO, site=SITE)
        assert (long.text, short.text) == ("large", "small")
        assert "does not fit its window of 1000" in long.reason
        assert len(small.requests) == 1


async def test_a_provider_that_misses_something_is_told_before_anything_runs(tmp_path: Path) -> None:
    for llm, words in (
        ({"primary": {"provider": "openai_compatible"}}, "llm.primary.*base_url"),
        ({"primary": {"provider": "olama", "model": "x"}}, "llm.primary: unknown provider.*`ollama`"),
        ({"research": {"provider": "openrouter", "model": "x"}}, "llm.research.*api_key"),
    ):
        with pytest.raises(ConfigError, match=words):
            async with registry(llm, tmp_path):
                pass


async def test_a_model_the_server_does_not_have_is_told_with_those_it_has(tmp_path: Path) -> None:
    with ModelServer(lambda _: say("x"), models=("qwen3:8b", "phi3:mini"), shape=Shape.OLLAMA) as server:
        llm = {"primary": {"provider": "ollama", "model": "qwen3:7b", "base_url": server.url, "fallback": ["embedded"]}}
        async with registry(llm, tmp_path) as models:
            served = (await models.assign())["primary"]
    assert served.spec == "embedded"
    assert "offers no model 'qwen3:7b'" in served.reason
    assert "qwen3:8b" in served.reason


async def test_a_model_without_tools_is_asked_for_them_once(good: ModelServer, tmp_path: Path) -> None:
    tool = {"type": "function", "function": {"name": "look", "description": "Look.", "parameters": {"type": "object"}}}
    with ModelServer(lambda request: fail(Fault.NO_TOOLS) if request.tools else say("words")) as plain:
        llm = {"primary": chat_spec(plain, fallback=["spare"]), "models": {"spare": chat_spec(good)}}
        async with registry(llm, tmp_path) as models:
            specs = [(await models.chat("primary", HELLO, site=SITE, tools=[tool])).spec for _ in range(3)]
            words = await models.chat("primary", HELLO, site=SITE)
        assert (specs, words.spec) == (["spare"] * 3, "primary:scripted")
        assert [bool(request.tools) for request in plain.requests] == [True, False]


async def test_a_password_in_an_address_is_not_shown(tmp_path: Path) -> None:
    url = f"http://me:hunter2hunter2@127.0.0.1:{closed_port()}/v1"
    ear = Ear()
    async with registry({"primary": chat_spec(url)}, tmp_path, ear=ear) as models:
        await models.assign()
        with pytest.raises(ModelError) as caught:
            await models.chat("primary", HELLO, site=SITE)
    assert "hunter2" not in f"{caught.value.message} {ear.heard}"


async def test_a_password_in_an_address_is_not_written_down(good: ModelServer, tmp_path: Path) -> None:
    url = good.v1.replace("http://", "http://me:hunter2hunter2@")
    async with registry({"primary": chat_spec(url, api="auto")}, tmp_path) as models:
        await models.assign()
        await models.chat("primary", HELLO, site=SITE)
    files = [path for path in tmp_path.iterdir() if path.is_file()]
    assert files
    assert [path.name for path in files if b"hunter2" in path.read_bytes()] == []


async def test_a_server_that_asks_for_a_long_rest_gets_it(good: ModelServer, tmp_path: Path) -> None:
    busy_script = [http_error(429, Retry_After="600"), say("rested")]
    with ModelServer(busy_script) as busy:
        llm = {"primary": chat_spec(busy, fallback=["spare"]), "models": {"spare": chat_spec(good)}}
        async with registry(llm, tmp_path) as models:
            replies = [await models.chat("primary", HELLO, site=SITE) for _ in range(2)]
        assert [reply.spec for reply in replies] == ["spare", "spare"]
        assert "its server asked us to wait; next retry in" in replies[1].reason
        assert len(busy.requests) == 1


@pytest.mark.parametrize(("role", "ends"), [("router", "short"), ("summarizer", "short"), ("primary", None)])
async def test_a_prompt_that_a_server_refuses_as_too_long_is_cut_where_the_role_bears_it(
    role: str, ends: str | None, tmp_path: Path
) -> None:
    def answer(request: ModelRequest) -> Reply:
        return fail(Fault.CONTEXT_LLAMA_CPP) if len(request.prompt) > 5000 else say("short")

    long = [HELLO[0].model_copy(update={"content": f"first {'a b ' * 1500} last"})]
    ear = Ear()
    with ModelServer(answer) as server:
        async with registry({"primary": chat_spec(server)}, tmp_path, ear=ear) as models:
            if ends is None:
                with pytest.raises(ModelError, match="context"):
                    await models.chat(role, long, site=SITE)
                assert len(server.requests) == 1
                return
            assert (await models.chat(role, long, site=SITE)).text == ends
        assert len(server.requests) == 2
        assert server.requests[1].prompt.startswith("first")
        assert server.requests[1].prompt.endswith("last")
    (warning,) = ear.of("model_warning")
    assert "the prompt was shortened" in warning["message"]


async def test_a_busy_server_after_which_no_other_follows_is_waited_for_by_all_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_registry.fallback.fallback._LONGEST_PAUSE_S", 0.1)
    monkeypatch.setattr("llm_registry.fallback.fallback._GATE_POLL_S", 0.1)
    script = lambda request: fail(Fault.LOADING) if request.index < 12 else say("loaded")  # noqa: E731
    ears = (Ear(), Ear())
    with ModelServer(script) as server:
        llm = {"primary": chat_spec(server, timeouts={"connect": 1, "first_token": 30, "idle": 5})}
        async with registry(llm, tmp_path, ear=ears[0]) as one, registry(llm, tmp_path, ear=ears[1]) as other:
            first = asyncio.create_task(one.chat("primary", HELLO, site=SITE))
            while len(server.requests) < 6:  # by now the breaker is open
                await asyncio.sleep(0.05)
            second = await other.chat("primary", HELLO, site=SITE)
            assert ((await first).text, second.text) == ("loaded", "loaded")
    for ear in ears:
        (told,) = ear.of("model_warning")
        assert "busy and there is no fallback" in told["message"]


async def test_what_a_run_can_do_without_is_not_waited_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_registry.fallback.fallback._LONGEST_PAUSE_S", 0.05)
    with ModelServer(lambda _: fail(Fault.OVERLOADED)) as server:
        async with registry({"summarizer": chat_spec(server)}, tmp_path) as models:
            for words in ("overloaded", "next retry in"):
                with pytest.raises(ModelError, match=words):
                    await models.chat("summarizer", HELLO, site=SITE)
        assert len(server.requests) == 6


async def test_patience_with_a_busy_server_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm_registry.fallback.fallback._LONGEST_PAUSE_S", 0.1)
    with ModelServer(lambda _: fail(Fault.OVERLOADED)) as server:
        llm = {"primary": chat_spec(server, timeouts={"connect": 1, "first_token": 1.5, "idle": 5})}
        async with registry(llm, tmp_path) as models:
            with pytest.raises(ModelError, match="overloaded"):
                await models.chat("primary", HELLO, site=SITE)
        assert len(server.requests) > 6


@pytest.mark.parametrize("mends", [True, False])
async def test_a_call_of_a_tool_that_was_never_offered_is_no_answer(mends: object, tmp_path: Path) -> None:
    invented = call("search", query="x")
    with ModelServer(lambda request: say("in words") if mends and request.index else invented) as server:
        async with registry({"primary": chat_spec(server)}, tmp_path) as models:
            if mends:
                assert (await models.chat("primary", HELLO, site=SITE)).text == "in words"
                assert "no tools are available" in server.requests[1].last.text
            else:
                with pytest.raises(ModelError, match="no tools are available"):
                    await models.chat("primary", HELLO, site=SITE)


async def test_a_server_that_asks_for_no_patience_is_given_some_and_costs_no_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_registry.fallback.fallback._FIRST_PAUSE_S", 0.2)

    async def endure(after: str) -> None:
        came: list[float] = []

        def answer(_: ModelRequest) -> Reply:
            came.append(time.monotonic())
            return say("now") if len(came) > 3 else http_error(429, Retry_After=after)

        folder = tmp_path / after
        folder.mkdir()
        with ModelServer(answer) as server:
            async with registry({"primary": chat_spec(server)}, folder, max_model_calls=2) as models:
                for _ in range(2):
                    await models.chat("primary", HELLO, site=SITE)
                with pytest.raises(BudgetError, match="2 of 2 model calls"):
                    await models.chat("primary", HELLO, site=SITE)
                used = models.usage()["primary"]
        assert (used.calls, used.refused) == (5, 3)
        assert [pause >= 0.15 * 2**n for n, pause in enumerate(later - now for now, later in pairwise(came[:4]))] == [
            True, True, True,
        ]  # fmt: skip

    await asyncio.gather(*(endure(after) for after in ("0", "-5", "0.02", "nan")))
