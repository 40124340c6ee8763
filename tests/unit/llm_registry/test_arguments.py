"""Arguments of tool calls as weak models and odd servers send them, in all three protocols."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import tool
from pydantic import BaseModel

from core.errors import NeedsModelError
from tests.modelserver.info import Shape
from tests.modelserver.reply import Call, Reply, call, call_all, http_error, say
from tests.modelserver.request import ModelRequest
from tests.modelserver.server import ModelServer
from tests.unit.llm_registry.raw import raw_server
from tests.unit.llm_registry.rig import HELLO, SITE, chat_spec, registry


class Named(BaseModel):
    path: str


PROTOCOLS = ("chat", "responses", "ollama")


@tool
def write_file(path: str, content: str) -> str:
    """Write a file."""
    return path + content


@tool
def edit(path: str, edits: list[dict[str, str]]) -> str:
    """Edit a file."""
    return f"{path}{edits}"


def serve(protocol: str, script: Any) -> ModelServer:
    return ModelServer(script, shape=Shape.OLLAMA if protocol == "ollama" else Shape.OPENAI)


def spec(protocol: str, server: ModelServer, **more: Any) -> dict[str, Any]:
    if protocol == "ollama":
        return {"provider": "ollama", "model": "scripted", "base_url": server.url, **more}
    return chat_spec(server, api=protocol, **more)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_text_that_is_json_stays_a_text(protocol: str, tmp_path: Path) -> None:
    wanted = {"path": "package.json", "content": '{"name": "x", "functionName": "write_file"}'}
    with serve(protocol, lambda _: call("write_file", **wanted)) as server:
        async with registry({"primary": spec(protocol, server)}, tmp_path) as models:
            reply = await models.chat("primary", HELLO, site=SITE, tools=[write_file])
    assert reply.tool_calls[0].args == wanted


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_list_written_as_a_text_is_read_where_the_schema_wants_a_list(protocol: str, tmp_path: Path) -> None:
    with serve(protocol, lambda _: call("edit", path="[1]", edits='[{"old": "1"}]')) as server:
        async with registry({"primary": spec(protocol, server)}, tmp_path) as models:
            reply = await models.chat("primary", HELLO, site=SITE, tools=[edit])
    assert reply.tool_calls[0].args == {"path": "[1]", "edits": [{"old": "1"}]}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ('{"path": "a", "con', "not valid JSON"),
        ("[1]", "must be a JSON object, not list"),
        ([1], "must be a JSON object, not list"),
        (42, "must be a JSON object, not int"),
        (True, "must be a JSON object, not bool"),
        (None, "lack path, content"),
    ],
)
async def test_arguments_of_the_wrong_kind_are_explained_to_the_model(
    protocol: str, sent: object, told: str, tmp_path: Path
) -> None:
    def answer(request: ModelRequest) -> Reply:
        good = call("write_file", path="a", content="b")
        return good if request.index else Reply(tool_calls=(Call("write_file", raw=sent),))

    with serve(protocol, answer) as server:
        async with registry({"primary": spec(protocol, server)}, tmp_path) as models:
            reply = await models.chat("primary", HELLO, site=SITE, tools=[write_file])
        assert reply.tool_calls[0].args == {"path": "a", "content": "b"}
        assert told in server.requests[1].last.text


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("sent", [{"path": "a", "content": "b"}, '{"path": "a", "content": "b"}'])
async def test_an_object_and_its_text_are_the_same_call(protocol: str, sent: object, tmp_path: Path) -> None:
    with serve(protocol, lambda _: Reply(tool_calls=(Call("write_file", raw=sent),))) as server:
        async with registry({"primary": spec(protocol, server)}, tmp_path) as models:
            reply = await models.chat("primary", HELLO, site=SITE, tools=[write_file])
        assert reply.tool_calls[0].args == {"path": "a", "content": "b"}
        assert len(server.requests) == 1


@pytest.mark.parametrize("protocol", ["chat", "ollama"])
async def test_thinking_that_was_not_asked_for_is_kept_and_counts_as_a_sign_of_life(
    protocol: str, tmp_path: Path
) -> None:
    thoughts = "six times seven is what was asked "
    quick = {"connect": 1, "first_token": 0.5, "idle": 0.5}
    with serve(protocol, lambda _: say("42", reasoning=thoughts * 2, pace=0.15)) as server:
        async with registry({"primary": spec(protocol, server, timeouts=quick)}, tmp_path) as models:
            reply = await models.chat("primary", HELLO, site=SITE)
    assert (reply.text, reply.reasoning.strip()) == ("42", (thoughts * 2).strip())
    assert reply.seconds > 0.5


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_server_says_when_to_come_back_in_every_protocol(protocol: str, tmp_path: Path) -> None:
    came: list[float] = []

    def answer(_: ModelRequest) -> Reply:
        came.append(time.monotonic())
        return say("now") if len(came) > 1 else http_error(429, Retry_After="2")

    with serve(protocol, answer) as server:
        async with registry({"primary": spec(protocol, server)}, tmp_path) as models:
            reply = await models.chat("primary", HELLO, site=SITE)
    assert reply.text == "now"
    assert came[1] - came[0] >= 2.0


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_calls_that_a_server_names_alike_are_told_apart(protocol: str, tmp_path: Path) -> None:
    same = call_all(*(Call("write_file", {"path": path, "content": ""}, id="call_0") for path in "abc"))
    with serve(protocol, lambda _: same) as server:
        async with registry({"primary": spec(protocol, server)}, tmp_path) as models:
            reply = await models.chat("primary", HELLO, site=SITE, tools=[write_file])
    assert [made.args["path"] for made in reply.tool_calls] == ["a", "b", "c"]
    assert len({made.id for made in reply.tool_calls}) == 3


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ('{"path": "a", "content": [1, ' + "9" * 19 + "]}", "an integer of more than 63 bits"),
        ('{"path": "a", "content": ' + "[" * 5000 + "]" * 5000 + "}", "nested too deeply"),
        ('{"path": "a", "content": ' + "[" * 300 + "]" * 300 + "}", "nested deeper than 100 levels"),
        ('<tool_call>{"name": "write_file", "arguments": ' + '{"a": ' * 5000 + "1" + "}" * 5001 + "</tool_call>", ""),
    ],
    ids=["wide number", "5000 levels", "300 levels", "in a text"],
)
async def test_arguments_nobody_can_keep_are_explained_to_the_model(
    protocol: str, sent: str, told: str, tmp_path: Path
) -> None:
    deep = Reply(tool_calls=(Call("write_file", raw=sent),)) if told else say(sent)
    good = call("write_file", path="a", content="b")
    with serve(protocol, lambda request: good if request.index else deep) as server:
        patient = {"timeouts": {"connect": 3, "first_token": 60, "idle": 60}}
        async with registry({"primary": {**spec(protocol, server), **patient}}, tmp_path) as models:
            reply = await models.chat("primary", HELLO, site=SITE, tools=[write_file])
        assert reply.tool_calls[0].args == {"path": "a", "content": "b"}
        assert (told or "the tool call is nested too deeply") in server.requests[1].last.text


async def test_arguments_longer_than_any_window_are_explained_to_the_model(tmp_path: Path) -> None:
    good, long = call("write_file", path="a", content="b"), call("write_file", path="a", content="x" * 8_000_000)
    with serve("ollama", lambda request: good if request.index else long) as server:
        async with registry({"primary": spec("ollama", server)}, tmp_path) as models:
            reply = await models.chat("primary", HELLO, site=SITE, tools=[write_file])
        assert reply.tool_calls[0].args == {"path": "a", "content": "b"}
        assert "more than 1000000: make several smaller calls" in server.requests[1].last.text


async def test_an_object_nested_too_deep_is_explained_to_the_model(tmp_path: Path) -> None:
    deep = '{"sentences": ' * 5000 + "1" + "}" * 5000
    with serve("ollama", lambda request: say('{"path": "a"}' if request.index else deep)) as server:
        async with registry({"primary": spec("ollama", server)}, tmp_path) as models:
            found, _ = await models.ask("primary", HELLO, Named, site=SITE)
        assert found.path == "a"
        assert "nested too deeply" in server.requests[1].last.text


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("levels", [400, 5000])
async def test_a_body_nested_too_deep_is_an_answer_that_cannot_be_read(
    protocol: str, status: int, levels: int, tmp_path: Path
) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n".encode())
        writer.write(b'{"error": ' * levels + b"1" + b"}" * levels)

    async with raw_server(handle) as url:
        address = url.removesuffix("/v1") if protocol == "ollama" else url
        provider = {"provider": "ollama"} if protocol == "ollama" else {"api": protocol}
        deep = {**chat_spec(address), **provider, "fallback": ["embedded"]}
        async with registry({"primary": deep}, tmp_path) as models:
            assert (await models.assign())["primary"].spec == "embedded"
            with pytest.raises(NeedsModelError) as caught:
                await models.chat("primary", HELLO, site=SITE)
    assert "primary:scripted: bad" in caught.value.message
    assert "recursion" not in caught.value.message
