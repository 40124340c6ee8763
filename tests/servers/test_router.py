"""What llama-server does as a router: it loads models by name, swaps them, and survives the death of one."""

import asyncio

import httpx
import psutil
import pytest
from langchain_core.messages import HumanMessage

from core.replies import CallSite
from tests.probing import probe_endpoint
from tests.servers.conftest import Open, Start
from tests.servers.kinds import CONTEXT, KEY, ROUTER, RealServer

pytestmark = pytest.mark.more_servers
SITE = CallSite(node="plan")


@pytest.fixture
def router(start: Start) -> RealServer:
    return start(ROUTER)


async def unload(router: RealServer, model: str) -> None:
    root = router.url.removesuffix("/v1")
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}, trust_env=False) as client:
        await client.post(f"{root}/models/unload", json={"model": model})
        for _ in range(100):
            rows = (await client.get(f"{router.url}/models")).json()["data"]
            if {row["id"]: row["status"]["value"] for row in rows}[model] == "unloaded":
                return
            await asyncio.sleep(0.05)
    pytest.fail(f"{model} was not unloaded")


async def test_the_window_is_known_before_the_model_is_loaded(router: RealServer) -> None:
    await unload(router, "other")
    facts = await probe_endpoint(router.spec("chat", model="other"), deadline_s=5)
    assert facts.models == ("other", "tiny")
    assert facts.window("other") == CONTEXT


async def test_two_roles_share_a_server_that_holds_one_model_at_a_time(opened: Open, router: RealServer) -> None:
    here, there = router.spec("chat"), router.spec("chat", model="other")
    async with opened(primary=here, summarizer=there) as registry:
        calls = [
            registry.chat(role, [HumanMessage(f"{number} [[long]]")], site=SITE)
            for number in range(3)
            for role in ("primary", "summarizer")
        ]
        replies = await asyncio.gather(*calls)
    assert {reply.text.split()[-1] for reply in replies} == {"w199"}
    assert {reply.spec for reply in replies} == {"primary:tiny", "summarizer:other"}


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_a_model_killed_in_the_middle_of_its_answer_is_asked_again(
    opened: Open, router: RealServer, api: str
) -> None:
    prompt = [HumanMessage("go [[long]]")]
    async with opened(primary=router.spec(api)) as registry:
        await registry.chat("primary", prompt, site=SITE)
        (child,) = psutil.Process(router.process.pid).children()
        asked = [asyncio.ensure_future(registry.chat("primary", prompt, site=SITE)) for _ in range(4)]
        await asyncio.sleep(0.03)
        # Frozen first, so that no call can be answered before the end.
        child.suspend()
        await asyncio.sleep(0.5)
        child.kill()
        replies = await asyncio.gather(*asked)
    assert {reply.text.split()[-1] for reply in replies} == {"w199"}
    assert max(reply.attempts for reply in replies) > 1
