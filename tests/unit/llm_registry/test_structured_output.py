"""Structured answers of models that can hardly give them."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from core.errors import ModelError
from core.storage.database import Database
from llm_registry.calls.json_extraction import json_mistake_in, json_objects_in, repaired_objects_in
from llm_registry.records.call_log import CallLog
from tests.modelserver.faults import Fault
from tests.modelserver.info import Shape
from tests.modelserver.reply import Reply, fail, give, say
from tests.modelserver.request import Method, ModelRequest
from tests.modelserver.server import ModelServer
from tests.unit.llm_registry.rig import HELLO, SITE, chat_spec, registry


class Fruit(BaseModel):
    """A fruit."""

    model_config = ConfigDict(extra="forbid")

    name: str
    count: int


APPLE = {"name": "apple", "count": 3}


def only(method: Method) -> Callable[[ModelRequest], Reply]:
    """A model that understands one way of being asked."""
    return lambda request: give(APPLE) if request.method is method else say("Apples, three of them.")


@pytest.mark.parametrize("method", [Method.JSON_SCHEMA, Method.JSON_MODE, Method.TOOLS])
@pytest.mark.parametrize("shape", [Shape.OPENAI, Shape.OLLAMA])
async def test_every_way_of_asking_is_tried_and_the_one_that_works_is_remembered(
    method: Method, shape: Shape, tmp_path: Path
) -> None:
    with ModelServer(only(method), shape=shape) as server:
        spec = chat_spec(server) if shape is Shape.OPENAI else {
            "provider": "ollama", "model": "scripted", "base_url": server.url}  # fmt: skip
        async with registry({"primary": spec}, tmp_path) as models:
            fruit, reply = await models.ask("primary", HELLO, Fruit, site=SITE)
        ways = list(dict.fromkeys(request.method for request in server.requests))
        before = len(server.requests)
        async with registry({"primary": spec}, tmp_path) as models:
            again, _ = await models.ask("coder", HELLO, Fruit, site=SITE)
        assert (fruit, again, reply.parsed) == (Fruit(**APPLE), Fruit(**APPLE), Fruit(**APPLE))
        assert ways[-1] is method
        assert [request.method for request in server.requests[before:]] == [method]


async def test_the_error_is_fed_back_in_words(tmp_path: Path) -> None:
    with ModelServer([give({"name": "apple", "count": "three"}), give(APPLE)]) as server:
        async with registry({"primary": chat_spec(server)}, tmp_path) as models:
            fruit, _ = await models.ask("primary", HELLO, Fruit, site=SITE)
        assert fruit == Fruit(**APPLE)
        first, second = server.requests
        assert '"three"' in second.messages[-2].text
        assert "count" in second.last.text
        assert "valid integer" in second.last.text
        assert len(second.messages) == len(first.messages) + 2


async def test_json_mode_shows_the_schema_in_the_prompt(tmp_path: Path) -> None:
    with ModelServer(only(Method.JSON_MODE)) as server:
        async with registry({"primary": chat_spec(server)}, tmp_path) as models:
            await models.ask("primary", HELLO, Fruit, site=SITE)
        asked = server.requests[-1]
        assert asked.method is Method.JSON_MODE
        assert asked.prompted_schema == Fruit.model_json_schema()


async def test_a_model_that_never_gives_an_object_is_a_typed_error(tmp_path: Path) -> None:
    with ModelServer(lambda _: fail(Fault.PROSE)) as server:
        async with registry({"primary": chat_spec(server)}, tmp_path) as models:
            with pytest.raises(ModelError, match="the answer contains no JSON object"):
                await models.ask("primary", HELLO, Fruit, site=SITE)
        assert len(server.requests) == 9


async def test_the_book_tells_good_answers_from_bad_ones(tmp_path: Path) -> None:
    with ModelServer([say("no object"), give(APPLE)]) as server:
        async with registry({"primary": chat_spec(server)}, tmp_path) as models:
            await models.ask("primary", HELLO, Fruit, site=SITE)
            assert models.usage()["primary"].calls == 2
    (figures,) = await CallLog(Database(tmp_path / "book.db")).figures("primary")
    assert figures.failures == {"bad_output": 1}


@pytest.mark.parametrize(
    ("text", "objects"),
    [
        ('{"a": 1}', [{"a": 1}]),
        ('Sure!\n```json\n{"a": {"b": 2}}\n```\nBye {not json}', [{"a": {"b": 2}}]),
        ('{"draft": true} and then {"a": 1}', [{"draft": True}, {"a": 1}]),
        ('[{"a": 1}]', [{"a": 1}]),
        ('{"a": "line\nbreak"}', [{"a": "line\nbreak"}]),
        ('{"a": ', []),
        ("", []),
    ],
)
def test_objects_are_found_between_words(text: str, objects: list[Any]) -> None:
    assert list(json_objects_in(text)) == objects


async def test_many_at_once_do_not_mix_up_their_objects(tmp_path: Path) -> None:
    def echo(request: ModelRequest) -> Reply:
        return give({"name": request.messages[0].text, "count": len(request.messages[0].text)})

    with ModelServer(echo) as server:
        async with registry({"primary": chat_spec(server, max_concurrency=3)}, tmp_path) as models:
            words = [HELLO[0].model_copy(update={"content": "x" * size}) for size in range(1, 9)]
            found = await asyncio.gather(*(models.ask("primary", [word], Fruit, site=SITE) for word in words))
    assert [fruit.count for fruit, _ in found] == list(range(1, 9))


@pytest.mark.parametrize(
    "said",
    [
        '{"name": "apple", "count": 3,}',
        '```json\n{"name": "apple",\n "count": 3,\n}\n```',
        "{'name': 'apple', 'count': 3}",
        '"{\\"name\\": \\"apple\\", \\"count\\": 3}"',
        '{"Fruit": {"name": "apple", "count": 3}}',
        '[{"name": "apple", "count": 3}]',
    ],
)
async def test_small_slips_are_read_over(said: str, tmp_path: Path) -> None:
    with ModelServer(lambda _: say(said)) as server:
        async with registry({"primary": chat_spec(server)}, tmp_path) as models:
            fruit, _ = await models.ask("primary", HELLO, Fruit, site=SITE)
        assert fruit == Fruit(**APPLE)
        assert len(server.requests) == 1


async def test_a_slip_that_cannot_be_read_over_is_told_with_its_place(tmp_path: Path) -> None:
    with ModelServer([say('{"name": "apple" "count": 3}'), give(APPLE)]) as server:
        async with registry({"primary": chat_spec(server)}, tmp_path) as models:
            await models.ask("primary", HELLO, Fruit, site=SITE)
        assert "Expecting ',' delimiter" in server.requests[1].last.text


@pytest.mark.parametrize(
    ("text", "objects"),
    [
        ('{"a": "x,}", "b": [1, 2,],}', [{"a": "x,}", "b": [1, 2]}]),
        ("{'a': None, 'b': True}", [{"a": None, "b": True}]),
        (r"{'a': '\d'}", [{"a": r"\d"}]),
        ('{"a": {"b": 1}, "c": "cut o', []),
        ("{'a': __import__('os').getcwd()}", []),
        ("{" * 5000, []),
        ("{'a': " * 500 + "1" + "}" * 500, None),
    ],
)
def test_only_slips_are_mended(text: str, objects: list[Any] | None) -> None:
    found = list(repaired_objects_in(text))
    assert found == objects or objects is None


def test_what_is_right_has_no_slip() -> None:
    assert [json_mistake_in(text) for text in ("", "words", '{"a": 1} and {more}')] == ["", "", ""]


@pytest.mark.parametrize("protocol", ["chat", "responses", "ollama"])
async def test_an_object_that_a_server_takes_for_thinking_is_found(protocol: str, tmp_path: Path) -> None:
    with ModelServer(
        lambda _: say("", reasoning='{"name": "apple", "count": 3}'),
        shape=Shape.OLLAMA if protocol == "ollama" else Shape.OPENAI,
    ) as server:
        spec = chat_spec(server, api=protocol) if protocol != "ollama" else {
            "provider": "ollama", "model": "scripted", "base_url": server.url}  # fmt: skip
        async with registry({"primary": spec}, tmp_path) as models:
            fruit, _ = await models.ask("primary", HELLO, Fruit, site=SITE)
        assert fruit == Fruit(**APPLE)
        assert len(server.requests) == 1
