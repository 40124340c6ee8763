"""The Responses protocol, through langchain-openai and the openai package."""

import openai
import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from tests.modelserver.reply import Call, call, call_all, give, say
from tests.modelserver.server import ModelServer
from tests.unit.modelserver.test_chat import WEATHER


class Verdict(BaseModel):
    """A judgement."""

    ok: bool
    reason: str


def client(server: ModelServer, **options) -> ChatOpenAI:
    settings = {"model": "scripted", "api_key": "x", "max_retries": 0, "use_responses_api": True}
    return ChatOpenAI(base_url=server.v1, **settings, **options)


def raw_client(server: ModelServer) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=server.v1, api_key="x", max_retries=0)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_text_reasoning_and_usage_arrive(stream) -> None:
    with ModelServer(say("Four.", reasoning="Two and two.", piece=4)) as server:
        message = await client(server, streaming=stream).ainvoke("2+2")
    blocks = {block["type"]: block for block in message.content_blocks}
    assert blocks["text"]["text"] == "Four."
    assert blocks["reasoning"]["reasoning"] == "Two and two."
    assert message.usage_metadata["output_token_details"]["reasoning"] == 3
    assert server.requests[0].stream is stream
    assert server.requests[0].path == "/v1/responses"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_parallel_tool_calls_arrive(stream) -> None:
    reply = call_all(Call("get_weather", {"city": "Oslo"}), Call("get_weather", {"city": "Rome"}))
    with ModelServer(reply.but(piece=4)) as server:
        model = client(server, streaming=stream).bind_tools([WEATHER])
        message = await model.ainvoke("weather?")
    assert [c["args"]["city"] for c in message.tool_calls] == ["Oslo", "Rome"]


async def test_every_kind_of_event_is_valid_for_the_official_client() -> None:
    reply = call_all(Call("get_weather", {"city": "Oslo"}), text="Let me look.")
    with ModelServer(reply.but(reasoning="Weather.")) as server:
        async with raw_client(server) as asked:
            stream = await asked.responses.create(model="m", input="weather?", stream=True)
            events = [event async for event in stream]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    items = [event.item.type for event in events if event.type == "response.output_item.done"]
    assert items == ["reasoning", "message", "function_call"]


async def test_a_tool_result_reaches_the_script() -> None:
    def script(request):
        if request.tool_results:
            return say(f"It is {request.result_of(request.calls[0])}.")
        return call("get_weather", city="Oslo")

    with ModelServer(script) as server:
        model = client(server).bind_tools([WEATHER])
        asked = HumanMessage("weather?")
        first = await model.ainvoke([asked])
        result = ToolMessage("cold", tool_call_id=first.tool_calls[0]["id"])
        last = await model.ainvoke([asked, first, result])
    assert last.text == "It is cold."


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
async def test_an_object_is_given_the_way_it_is_asked_for(method) -> None:
    with ModelServer(give({"ok": True, "reason": "fine"})) as server:
        model = client(server).with_structured_output(Verdict, method=method)
        verdict = await model.ainvoke("Judge. Answer in JSON.")
    assert verdict == Verdict(ok=True, reason="fine")
    expected = {"json_schema": "json_schema", "function_calling": "tools"}
    assert server.requests[0].method == expected.get(method, "json_mode")


async def test_a_response_is_continued_by_its_id() -> None:
    with ModelServer([say("I am Ada."), say("Ada, as I said.")]) as server:
        async with raw_client(server) as asked:
            first = await asked.responses.create(model="m", input="Who are you?")
            second = await asked.responses.create(model="m", input="Again?", previous_response_id=first.id)
    assert second.output_text == "Ada, as I said."
    said = [(message.role, message.text) for message in server.requests[1].messages]
    assert said == [("user", "Who are you?"), ("assistant", "I am Ada."), ("user", "Again?")]


async def test_an_unknown_id_is_not_found() -> None:
    with ModelServer(say("x")) as server:
        async with raw_client(server) as asked:
            with pytest.raises(openai.NotFoundError, match="resp_nope"):
                await asked.responses.create(model="m", input="Again?", previous_response_id="resp_nope")


async def test_a_cut_answer_is_incomplete() -> None:
    with ModelServer(say("Once upon a", finish="length")) as server:
        async with raw_client(server) as asked:
            response = await asked.responses.create(model="m", input="Tell.")
    assert response.status == "incomplete"
    assert response.incomplete_details.reason == "max_output_tokens"


async def test_a_server_may_lack_the_endpoint() -> None:
    with ModelServer(say("x"), responses=False) as server:
        async with raw_client(server) as asked:
            with pytest.raises(openai.NotFoundError, match="File Not Found"):
                await asked.responses.create(model="m", input="hi")
    assert server.requests == []
