"""Bounds of answers where the configuration names none, as they arrive at servers of all three protocols."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from tests.modelserver.info import Shape
from tests.modelserver.reply import Reply, give, say
from tests.modelserver.request import ModelRequest
from tests.modelserver.server import ModelServer
from tests.unit.llm_registry.rig import HELLO, SITE, chat_spec, registry


class Found(BaseModel):
    """What was found."""

    name: str


def answer(request: ModelRequest) -> Reply:
    return say("hello") if request.schema is None else give({"name": "x"})


def bound_in(body: Any) -> Any:
    return body.get("max_tokens", body.get("max_output_tokens", body.get("options", {}).get("num_predict")))


async def bounds(folder: Path, protocol: str, *, context: int = 32768, **more: Any) -> list[Any]:
    """Of the words of a summarizer and a coder, and of the object of a primary."""
    shape = Shape.OLLAMA if protocol == "ollama" else Shape.OPENAI
    with ModelServer(answer, shape=shape, context=context) as server:
        spec = chat_spec(server, api="chat" if protocol == "ollama" else protocol, **more)
        if protocol == "ollama":
            spec |= {"provider": "ollama", "base_url": server.url, "context_length": context}
        async with registry({"primary": spec}, folder) as models:
            await models.assign()
            await models.chat("summarizer", HELLO, site=SITE)
            await models.chat("coder", HELLO, site=SITE)
            await models.ask("primary", HELLO, Found, site=SITE)
        return [bound_in(request.body) for request in server.requests]


@pytest.mark.parametrize("protocol", ["chat", "responses", "ollama"])
async def test_what_is_short_by_nature_is_bounded_and_the_work_is_not(tmp_path: Path, protocol: str) -> None:
    assert await bounds(tmp_path, protocol) == [4096, None, 8192]


async def test_the_configured_bound_is_the_only_one(tmp_path: Path) -> None:
    for configured in (512, 30_000):
        folder = tmp_path / str(configured)
        folder.mkdir()
        assert await bounds(folder, "chat", max_output_tokens=configured) == [configured] * 3


async def test_no_bound_is_sent_that_the_window_may_not_hold(tmp_path: Path) -> None:
    assert await bounds(tmp_path, "chat", context=8192) == [4096, None, None]


async def test_an_answer_that_was_cut_leads_on_and_comes_to_an_end(tmp_path: Path) -> None:
    def babble(_: ModelRequest) -> Reply:
        return Reply(text="and then " * 40, finish="length")

    with ModelServer(babble) as mad, ModelServer(answer) as good:
        llm = {"primary": chat_spec(mad, fallback=["spare"]), "models": {"spare": chat_spec(good)}}
        async with registry(llm, tmp_path) as models:
            await models.assign()
            found, reply = await models.ask("primary", HELLO, Found, site=SITE)
        methods = [request.method for request in mad.requests]
    assert (found.name, reply.spec) == ("x", "spare")
    # Once in each way of asking: what was cut is not asked for again in the same way.
    assert len(methods) == len(set(methods)) == 3
