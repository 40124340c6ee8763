"""What a LiteLLM proxy does of its own accord: its fallbacks, refusals and end."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from langchain_core.messages import HumanMessage

from core.replies import CallSite
from tests.servers.conftest import Heard, MakeSpec, Open, Person, Start
from tests.servers.kinds import LITELLM, Models, RealServer, running

pytestmark = pytest.mark.servers
SITE = CallSite(node="plan")
HELLO = [HumanMessage("hi")]


@pytest.fixture
def proxy(start: Start) -> RealServer:
    return start(LITELLM)


async def test_its_own_fallback_answers_like_the_model_itself(opened: Open, proxy: RealServer) -> None:
    async with opened(primary=proxy.spec("chat", model="rescued")) as registry:
        reply = await registry.chat("primary", HELLO, site=SITE)
    assert reply.text == "Hello from the tiny model."
    assert reply.attempts == 1


@pytest.mark.parametrize(
    "case",
    [("chat", "crowded", "rate limited"), ("chat", "dead", "server error"), ("responses", "dead", "server error")],
)
async def test_what_it_cannot_serve_goes_to_the_next_spec(
    opened: Open, proxy: RealServer, spec: MakeSpec, heard: Heard, case: tuple[str, str, str]
) -> None:
    api, model, reason = case
    there = proxy.spec(api, model=model, fallback=("reasoning",))
    async with opened(primary=there, reasoning=spec()) as registry:
        reply = await registry.chat("primary", HELLO, site=SITE)
    assert reply.spec.startswith("reasoning")
    assert reason in reply.reason
    assert [one["to"] for one in heard.named("model_fallback")] == [reply.spec]


async def test_an_object_comes_where_the_proxy_hands_responses_on_untouched(opened: Open, proxy: RealServer) -> None:
    # The server behind it ignores the requested format in `/v1/responses`.
    async with opened(primary=proxy.spec("auto", model="passed-through")) as registry:
        await registry.assign()
        person, _ = await registry.ask("primary", [HumanMessage("Who?")], Person, site=SITE)
    assert isinstance(person, Person)


async def test_a_proxy_killed_in_the_middle_of_an_answer_is_left_for_the_next_spec(
    opened: Open, spec: MakeSpec, models: Models, tmp_path: Path
) -> None:
    prompt = [HumanMessage("go [[long]]")]
    with running(LITELLM, models, tmp_path) as mortal:
        async with opened(primary=mortal.spec("chat", fallback=("reasoning",)), reasoning=spec()) as registry:
            assert (await registry.chat("primary", HELLO, site=SITE)).spec.startswith("primary")
            asked = [asyncio.ensure_future(registry.chat("primary", prompt, site=SITE)) for _ in range(3)]
            await asyncio.sleep(0.1)
            os.killpg(mortal.process.pid, signal.SIGKILL)
            replies = await asyncio.gather(*asked)
    assert {reply.text.split()[-1] for reply in replies} == {"w199"}
    assert {reply.spec.split(":")[0] for reply in replies} == {"reasoning"}
