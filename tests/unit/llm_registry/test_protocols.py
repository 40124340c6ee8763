"""Which protocol a server is spoken to in, and when one of them is given up for good."""

from collections.abc import Callable
from pathlib import Path

import pytest
from langchain_core.messages import HumanMessage
from pydantic import BaseModel

from core.errors import ModelError
from tests.modelserver.faults import Fault
from tests.modelserver.info import Shape
from tests.modelserver.reply import Reply, fail, give, say
from tests.modelserver.request import ModelRequest
from tests.modelserver.server import ModelServer
from tests.unit.llm_registry.rig import HELLO, SITE, chat_spec, registry

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"


class Fruit(BaseModel):
    """A fruit."""

    name: str


def first_is(fault: Fault) -> Callable[[ModelRequest], Reply]:
    return lambda request: say("words") if request.index else fail(fault)


async def test_a_model_that_gives_no_object_does_not_cost_the_server_its_protocol(tmp_path: Path) -> None:
    with ModelServer(lambda _: say("words")) as server:
        async with registry({"primary": chat_spec(server, api="auto")}, tmp_path) as models:
            await models.assign()
            with pytest.raises(ModelError, match="contains no JSON object"):
                await models.ask("primary", HELLO, Fruit, site=SITE)
            await models.chat("primary", HELLO, site=SITE)
        assert [request.path for request in server.requests] == [*[CHAT] * 9, RESPONSES]


async def test_one_empty_answer_is_an_accident_and_two_are_not(tmp_path: Path) -> None:
    with ModelServer(first_is(Fault.EMPTY_CONTENT)) as server:
        async with registry({"primary": chat_spec(server, api="auto")}, tmp_path) as models:
            await models.assign()
            assert (await models.chat("primary", HELLO, site=SITE)).text == "words"
        assert [request.path for request in server.requests] == [RESPONSES] * 2

    folder = tmp_path / "two"
    folder.mkdir()
    script = lambda request: fail(Fault.EMPTY_CONTENT) if request.path == RESPONSES else say("words")  # noqa: E731
    with ModelServer(script) as server:
        async with registry({"primary": chat_spec(server, api="auto")}, folder) as models:
            await models.assign()
            assert (await models.chat("primary", HELLO, site=SITE)).text == "words"
        assert [request.path for request in server.requests] == [RESPONSES, RESPONSES, CHAT]


async def test_a_server_with_responses_only_gives_objects_that_way(tmp_path: Path) -> None:
    def answer(request: ModelRequest) -> Reply:
        return fail(Fault.NO_ENDPOINT) if request.path == CHAT else give({"name": "apple"})

    with ModelServer(answer) as server:
        async with registry({"primary": chat_spec(server, api="auto")}, tmp_path) as models:
            await models.assign()
            await models.chat("primary", HELLO, site=SITE)
            for _ in range(2):
                fruit, _ = await models.ask("primary", HELLO, Fruit, site=SITE)
                assert fruit.name == "apple"
        assert [request.path for request in server.requests] == [RESPONSES, CHAT, RESPONSES, RESPONSES]


@pytest.mark.parametrize(("thinking", "effort"), [("auto", None), (True, "medium"), (False, "none")])
async def test_thinking_reaches_ollama_behind_v1_as_an_effort(
    thinking: object, effort: str | None, tmp_path: Path
) -> None:
    with ModelServer(lambda _: say("words"), shape=Shape.OLLAMA) as server:
        spec = {"provider": "ollama", "model": "scripted", "base_url": server.v1, "thinking": thinking}
        async with registry({"primary": spec}, tmp_path) as models:
            await models.chat("primary", HELLO, site=SITE)
        (request,) = server.requests
    assert request.body.get("reasoning_effort") == effort
    assert "chat_template_kwargs" not in request.body


@pytest.mark.parametrize(("thinking", "sent"), [("auto", None), (True, True), (False, False)])
async def test_thinking_reaches_each_provider_in_its_own_words(
    thinking: object, sent: bool | None, tmp_path: Path
) -> None:
    with ModelServer(lambda _: say("words"), shape=Shape.OLLAMA) as server:
        llm = {
            "primary": chat_spec(server, thinking=thinking),
            "coder": chat_spec(server, thinking=thinking, provider="openrouter", api_key="sk-or-123456"),
            "router": {"provider": "ollama", "model": "scripted", "base_url": server.url, "thinking": thinking},
        }
        async with registry(llm, tmp_path) as models:
            for role in llm:
                await models.chat(role, HELLO, site=SITE)
        plain, routed, ollama = (request.body for request in server.requests)
    assert plain.get("chat_template_kwargs") == (None if sent is None else {"enable_thinking": sent})
    assert routed.get("reasoning") == (None if sent is None else {"enabled": sent})
    assert ollama.get("think") == sent


@pytest.mark.parametrize("protocol", ["chat", "responses", "ollama"])
async def test_half_characters_of_a_file_name_stop_no_prompt(protocol: str, tmp_path: Path) -> None:
    with ModelServer(lambda _: say("words"), shape=Shape.OLLAMA) as server:
        spec = chat_spec(server, api=protocol) if protocol != "ollama" else {
            "provider": "ollama", "model": "scripted", "base_url": server.url}  # fmt: skip
        async with registry({"primary": spec}, tmp_path) as models:
            asked = [HumanMessage("caf\udce9.py \ud83d\ude00")]
            assert (await models.chat("primary", asked, site=SITE)).text == "words"
        assert server.requests[0].prompt == "caf\ufffd.py \U0001f600"
