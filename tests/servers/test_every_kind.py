"""What rolecall needs of any model server, asked of real ones of other makes through the whole registry.

Where a server is known to fall short, the next spec of the chain must serve: a llama.cpp server on the same model.
"""

import asyncio
import contextlib
import re
from collections import Counter
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from core.config.settings import LLMSettings, Settings
from core.replies import CallSite
from llm_registry.diagnosis.doctor import diagnose_roles
from tests.probing import probe_endpoint
from tests.servers.conftest import Heard, MakeSpec, Open, Person, Start, get_weather
from tests.servers.kinds import KINDS, Kind, RealServer

SITE = CallSite(node="plan")


def doors(*, each_api: bool = True) -> list[Any]:
    """Each kind through each of its APIs."""
    return [
        pytest.param(kind, api, marks=getattr(pytest.mark, kind.marker), id=f"{kind.name}-{api}")
        for kind in KINDS
        for api in (kind.apis if each_api else kind.apis[:1])
    ]


@pytest.fixture
def server(start: Start, kind: Kind) -> RealServer:
    return start(kind)


@pytest.mark.parametrize(("kind", "api"), doors())
async def test_words_usage_and_times_come_back(opened: Open, server: RealServer, api: str) -> None:
    async with opened(primary=server.spec(api)) as registry:
        reply = await registry.chat("primary", [SystemMessage("Be brief."), HumanMessage("hi")], site=SITE)
        usage = registry.usage()["primary"]
    assert reply.text == "Hello from the tiny model."
    assert reply.first_token_s is not None
    assert reply.response_id.startswith("resp_") is (api == "responses")
    assert bool(reply.usage.output_tokens) is server.kind.counts
    assert (usage.calls, usage.input_tokens) == (1, reply.usage.input_tokens)


@pytest.mark.parametrize(("kind", "api"), doors())
async def test_reasoning_is_kept_apart_from_words(opened: Open, server: RealServer, api: str) -> None:
    async with opened(primary=server.spec(api)) as registry:
        reply = await registry.chat("primary", [HumanMessage("go [[think]]")], site=SITE)
    assert reply.text.strip() == "Done thinking!"
    assert "Let me think" in reply.reasoning


@pytest.mark.parametrize(("kind", "api"), doors())
async def test_a_tool_is_called_and_its_result_understood(opened: Open, server: RealServer, api: str) -> None:
    question = HumanMessage("How warm is it?")
    async with opened(primary=server.spec(api)) as registry:
        asked = await registry.chat("primary", [question], tools=[get_weather], site=SITE)
        (called,) = asked.tool_calls
        history = [
            question,
            AIMessage("", tool_calls=[{"id": called.id, "name": called.name, "args": called.args}]),
            ToolMessage("18 degrees", tool_call_id=called.id),
        ]
        told = await registry.chat("primary", history, tools=[get_weather], site=SITE)
    assert (called.name, called.args) == ("get_weather", {"city": "Oslo"})
    assert told.text == "It is 18 degrees."


@pytest.mark.parametrize(("kind", "api"), doors())
async def test_two_tools_are_called_at_once(opened: Open, server: RealServer, api: str) -> None:
    async with opened(primary=server.spec(api)) as registry:
        reply = await registry.chat("primary", [HumanMessage("both [[two]]")], tools=[get_weather], site=SITE)
    assert [one.args["city"] for one in reply.tool_calls] == ["Rome", "Lima"]
    assert len({one.id for one in reply.tool_calls}) == 2


@pytest.mark.parametrize(("kind", "api"), doors())
async def test_an_agent_works_through_its_loop(opened: Open, server: RealServer, api: str) -> None:
    async with opened(coder=server.spec(api)) as registry:
        agent = create_agent(registry.chat_model("coder", site=SITE), [get_weather])
        state = await agent.ainvoke({"messages": [("user", "How warm is it in Oslo?")]})
    assert [message.type for message in state["messages"]] == ["human", "ai", "tool", "ai"]
    assert state["messages"][2].content == "18 degrees in Oslo"


@pytest.mark.parametrize(("kind", "api"), doors())
async def test_an_object_always_comes(opened: Open, server: RealServer, spec: MakeSpec, api: str) -> None:
    first = server.spec(api, fallback=("reasoning",))
    async with opened(primary=first, reasoning=spec()) as registry:
        person, reply = await registry.ask("primary", [HumanMessage("Who?")], Person, site=SITE)
    assert isinstance(person, Person)
    assert reply.spec.split(":")[0] == ("primary" if api in server.kind.forces_objects else "reasoning")


@pytest.mark.parametrize(("kind", "api"), doors())
async def test_a_prompt_too_long_goes_to_the_spec_whose_window_holds_it(
    opened: Open, server: RealServer, spec: MakeSpec, api: str
) -> None:
    # One character is one token here. By the usual measure this might fit, so the server is asked.
    prompt = [HumanMessage("x" * 6000)]
    large = spec(context_length=8192, options={"num_ctx": 8192})
    async with opened(primary=server.spec(api, fallback=("reasoning",)), reasoning=large) as registry:
        await registry.assign()
        reply = await registry.chat("primary", prompt, site=SITE)
    if server.kind.when_too_long:
        assert reply.spec.startswith("reasoning")
        assert re.search(server.kind.when_too_long, reply.reason)
    else:
        assert reply.spec.startswith("primary")


@pytest.mark.parametrize(("kind", "api"), doors())
async def test_calls_beyond_the_limit_wait_and_none_is_lost(
    opened: Open, server: RealServer, heard: Heard, api: str
) -> None:
    async with opened(primary=server.spec(api, max_concurrency=2)) as registry:
        calls = [registry.chat("primary", [HumanMessage(f"{number} [[long]]")], site=SITE) for number in range(5)]
        replies = await asyncio.gather(*calls)
        (spent,) = registry.usage()["primary"].by_spec.values()
    outcomes = Counter(one["outcome"] for one in heard.named("model_finished"))
    retried = outcomes["server_error"] if server.kind.relays else 0
    assert outcomes == Counter(ok=5, server_error=retried)
    assert (spent.calls, spent.failed) == (5 + retried, retried)
    assert {reply.text.split()[-1] for reply in replies} == {"w199"}


@pytest.mark.parametrize(("kind", "api"), doors())
async def test_after_a_call_given_up_the_server_serves_on(opened: Open, server: RealServer, api: str) -> None:
    async with opened(primary=server.spec(api, max_concurrency=1)) as registry:
        given_up = asyncio.ensure_future(registry.chat("primary", [HumanMessage("go [[long]]")], site=SITE))
        await asyncio.sleep(0.1)
        given_up.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await given_up
        async with asyncio.timeout(20):
            reply = await registry.chat("primary", [HumanMessage("hi")], site=SITE)
    assert reply.text == "Hello from the tiny model."


@pytest.mark.parametrize(("kind", "api"), doors())
async def test_a_wrong_key_leads_to_the_next_spec(
    opened: Open, server: RealServer, spec: MakeSpec, heard: Heard, api: str
) -> None:
    locked_out = server.spec(api, api_key="sk-wrong", fallback=("reasoning",))
    async with opened(primary=locked_out, reasoning=spec()) as registry:
        reply = await registry.chat("primary", [HumanMessage("hi")], site=SITE)
    if server.kind.wants_key:
        assert reply.spec.startswith("reasoning")
        assert "auth" in reply.reason
        assert "sk-wrong" not in str(heard.events)
    else:
        assert reply.spec.startswith("primary")


@pytest.mark.parametrize(("kind", "api"), doors())
async def test_a_wrong_name_leads_to_the_next_spec(opened: Open, server: RealServer, spec: MakeSpec, api: str) -> None:
    wrong = server.spec(api, model="tinny", fallback=("reasoning",))
    async with opened(primary=wrong, reasoning=spec()) as registry:
        reply = await registry.chat("primary", [HumanMessage("hi")], site=SITE)
    if server.kind.checks_names:
        assert reply.spec.startswith("reasoning")
        assert "unknown model" in reply.reason
    else:
        assert reply.spec.startswith("primary")


@pytest.mark.parametrize(("kind", "api"), doors(each_api=False))
async def test_a_look_tells_what_the_server_is_and_has(server: RealServer, api: str) -> None:
    facts = await probe_endpoint(server.spec("auto"), deadline_s=5)
    assert facts.reachable
    assert facts.server == server.kind.seen_as
    assert facts.responses_api is ("responses" in server.kind.apis)
    assert facts.window(server.model) == server.kind.window
    if server.kind.lists_models:
        assert facts.error == ""
        assert server.model in facts.models
        assert facts.offers("tinny") is server.kind.known_as_one


@pytest.mark.parametrize(("kind", "api"), doors(each_api=False))
async def test_the_doctor_finds_it_able_as_far_as_it_is(server: RealServer, api: str) -> None:
    (health,) = (await diagnose_roles(Settings(llm=LLMSettings(primary=server.spec("auto"))), live=True)).specs
    assert health.tool_call is not None
    assert health.tool_call.ok, health.tool_call.detail
    assert health.json_object is not None
    assert health.json_object.ok is bool(server.kind.forces_objects), health.json_object.detail
    assert bool(health.tokens_per_s) is server.kind.counts
    if server.kind.lists_models:
        assert health.ok


@pytest.mark.parametrize(("kind", "api"), doors(each_api=False))
async def test_the_doctor_names_the_model_that_is_meant(server: RealServer, api: str) -> None:
    diagnosis = await diagnose_roles(Settings(llm=LLMSettings(primary=server.spec("auto", model="tinny"))))
    lines = [one.line for one in diagnosis.remedies if one.place == "llm.primary.model"]
    assert lines == (['"model": "tiny"'] if server.kind.lists_models and not server.kind.known_as_one else [])
