"""The provider `gguf`, and what is llama.cpp's own; what any server must give is in `test_every_kind`."""

import asyncio
import os
import signal

import pytest
from langchain_core.messages import HumanMessage, SystemMessage

from core.config.settings import LLMSettings, ModelSpec, Settings
from core.replies import CallSite
from llm_registry.diagnosis.doctor import diagnose_roles
from llm_registry.gguf.server import ensure_server
from tests.gguf_servers import running_servers
from tests.probing import probe_endpoint
from tests.servers.conftest import Heard, MakeSpec, Open, Person

pytestmark = pytest.mark.servers
SITE = CallSite(node="plan")


async def test_words_usage_and_times_come_back(opened: Open, spec: MakeSpec) -> None:
    async with opened(primary=spec()) as registry:
        reply = await registry.chat("primary", [SystemMessage("Be brief."), HumanMessage("hi")], site=SITE)
        usage = registry.usage()["primary"]
    assert reply.text == "Hello from the tiny model."
    assert reply.usage.output_tokens
    assert reply.first_token_s is not None
    assert (usage.calls, usage.input_tokens) == (1, reply.usage.input_tokens)
    assert reply.spec == "primary:tiny"


async def test_an_object_is_forced_into_its_schema(opened: Open, address: str) -> None:
    # This server ignores the requested format in `/v1/responses`, so "auto" must find its way around it.
    there = ModelSpec(provider="openai_compatible", model="tiny", base_url=address, temperature=0)
    async with opened(primary=there) as registry:
        await registry.assign()
        person, _ = await registry.ask("primary", [HumanMessage("Who?")], Person, site=SITE)
    assert isinstance(person, Person)
    assert person.age == 4


async def test_responses_is_spoken_where_it_was_found(opened: Open, address: str) -> None:
    there = ModelSpec(provider="openai_compatible", model="tiny", base_url=address, temperature=0)
    async with opened(primary=there) as registry:
        await registry.assign()
        reply = await registry.chat("primary", [HumanMessage("go [[think]]")], site=SITE)
        usage = registry.usage()["primary"]
    assert reply.response_id.startswith("resp_")
    assert usage.calls == 1


async def test_a_prompt_too_long_goes_to_the_spec_whose_window_holds_it(opened: Open, spec: MakeSpec) -> None:
    small = spec(context_length=512, options={"num_ctx": 512}, fallback=("reasoning",))
    # One character is one token here, so this fits no window of 512.
    prompt = [HumanMessage("x" * 1500)]
    async with opened(primary=small, reasoning=spec()) as registry:
        reply = await registry.chat("primary", prompt, site=SITE)
    assert reply.spec.startswith("reasoning")
    assert "context" in reply.reason or "window" in reply.reason
    assert reply.usage.input_tokens is not None
    assert reply.usage.input_tokens > 1500


async def test_a_look_names_server_model_and_window(address: str) -> None:
    facts = await probe_endpoint(ModelSpec(provider="openai_compatible", model="other", base_url=address))
    assert (facts.server, facts.models, facts.responses_api) == ("llama.cpp", ("tiny",), True)
    assert facts.window("other") == 4096
    assert facts.limit("other") == 32768
    assert facts.offers("other") is True


async def test_roles_are_assigned_to_files_that_are_there(opened: Open, spec: MakeSpec, heard: Heard) -> None:
    absent = ModelSpec(provider="gguf", model="/nowhere/absent.gguf", fallback=("primary",))
    async with opened(primary=spec(), summarizer=absent) as registry:
        served = dict(await registry.assign())
        reply = await registry.chat("summarizer", [HumanMessage("hi")], site=SITE)
    assert served["summarizer"].spec.startswith("primary")
    assert "no readable file" in served["summarizer"].reason
    assert reply.spec.startswith("primary")
    assert heard.named("roles")


async def test_the_doctor_finds_a_model_able(spec: MakeSpec, address: str) -> None:
    there = ModelSpec(provider="openai_compatible", model="tiny", base_url=address)
    settings = Settings(llm=LLMSettings(primary=there, summarizer=spec()))
    diagnosis = await diagnose_roles(settings, live=True)
    by_name = {one.name: one for one in diagnosis.specs}
    assert set(by_name) == {"primary:tiny", "summarizer:tiny"}
    for health in by_name.values():
        assert health.ok
        assert health.tool_call is not None
        assert health.tool_call.ok, health.tool_call.detail
        assert health.json_object is not None
        assert health.json_object.ok, health.json_object.detail
        assert health.tokens_per_s
        assert health.window == 4096
    assert by_name["primary:tiny"].calls_tools is True


async def test_the_doctor_knows_why_objects_fail_over_responses(address: str) -> None:
    there = ModelSpec(provider="openai_compatible", model="tiny", base_url=address, api="responses")
    diagnosis = await diagnose_roles(Settings(llm=LLMSettings(primary=there)), live=True)
    remedy = next(one for one in diagnosis.remedies if one.place == "llm.primary.api")
    assert remedy.line == '"api": "auto"'


async def test_a_server_killed_in_the_middle_of_an_answer_is_replaced(opened: Open, spec: MakeSpec) -> None:
    mortal = spec(context_length=2048)
    prompt = [HumanMessage("go [[long]]")]
    async with opened(primary=mortal, reasoning="primary") as registry:
        # Whether a call has yet to connect, waits or reads when the server dies is up to chance.
        for pause_s in (0.0, 0.01, 0.02, 0.04, 0.08):
            await registry.chat("primary", prompt, site=SITE)
            (server,) = [one for one in await running_servers() if one.url in await ensure_server(mortal)]
            asked = [asyncio.ensure_future(registry.chat("primary", prompt, site=SITE)) for _ in range(4)]
            await asyncio.sleep(pause_s)
            os.kill(server.pid, signal.SIGKILL)
            replies = await asyncio.gather(*asked)
            assert {reply.text.split()[-1] for reply in replies} == {"w199"}
            assert await ensure_server(mortal) != server.url
