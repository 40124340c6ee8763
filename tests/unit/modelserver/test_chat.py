"""Chat Completions, through langchain-openai and plain HTTP."""

import json

import httpx
import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from tests.modelserver.faults import Fault
from tests.modelserver.reply import Call, call, call_all, fail, give, say
from tests.modelserver.server import ModelServer

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


class Verdict(BaseModel):
    """A judgement."""

    ok: bool
    reason: str


def client(server: ModelServer, **options) -> ChatOpenAI:
    settings = {"model": "scripted", "api_key": "x", "max_retries": 0, "stream_usage": True}
    return ChatOpenAI(base_url=server.v1, **settings, **options)


async def test_text_and_usage_arrive() -> None:
    with ModelServer(say("Good evening.")) as server:
        message = await client(server).ainvoke("Hello there")
    assert message.content == "Good evening."
    assert message.usage_metadata["input_tokens"] == server.requests[0].prompt_tokens
    assert message.usage_metadata["output_tokens"] == 4
    assert server.requests[0].last.text == "Hello there"


async def test_a_stream_arrives_in_pieces_with_usage_at_the_end() -> None:
    with ModelServer(say("abcdefghij", piece=3)) as server:
        chunks = [chunk async for chunk in client(server).astream("hi")]
    assert [c.content for c in chunks if c.content] == ["abc", "def", "ghi", "j"]
    assert sum(c.usage_metadata["output_tokens"] for c in chunks if c.usage_metadata) == 3
    assert chunks[-1].chunk_position == "last"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_parallel_tool_calls_arrive(stream) -> None:
    reply = call_all(Call("get_weather", {"city": "Oslo"}), Call("get_weather", {"city": "Rome"}))
    with ModelServer(reply.but(piece=4)) as server:
        model = client(server, streaming=stream).bind_tools([WEATHER])
        message = await model.ainvoke("weather?")
    assert [c["args"]["city"] for c in message.tool_calls] == ["Oslo", "Rome"]
    assert len({c["id"] for c in message.tool_calls}) == 2
    assert server.requests[0].tool_names == ("get_weather",)
    assert server.requests[0].stream is stream


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
    assert last.content == "It is cold."


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
async def test_an_object_is_given_the_way_it_is_asked_for(method) -> None:
    with ModelServer(give({"ok": True, "reason": "fine"})) as server:
        model = client(server).with_structured_output(Verdict, method=method)
        verdict = await model.ainvoke("Judge. Answer in JSON.")
    assert verdict == Verdict(ok=True, reason="fine")
    expected = {"json_schema": "json_schema", "function_calling": "tools"}
    assert server.requests[0].method == expected.get(method, "json_mode")
    assert server.requests[0].title == ("" if method == "json_mode" else "Verdict")


async def test_a_schema_written_in_the_prompt_names_the_title() -> None:
    prompt = f"Answer with this schema:\n```json\n{json.dumps(Verdict.model_json_schema())}\n```"
    with ModelServer(give({"ok": True, "reason": ""})) as server:
        await client(server).ainvoke(prompt, response_format={"type": "json_object"})
    assert server.requests[0].title == "Verdict"


async def test_a_schema_shown_by_a_tool_names_nothing() -> None:
    shown = json.dumps(Verdict.model_json_schema())
    with ModelServer(say("ok")) as server:
        await client(server).bind_tools([WEATHER]).ainvoke(f"The file says: {shown}")
    assert server.requests[0].title == ""


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("style", ["reasoning_content", "reasoning", "think"])
def test_reasoning_is_told_in_the_style_asked(style, stream) -> None:
    reply = say("Four.", reasoning="Two and two.", reasoning_style=style)
    body = {"messages": [{"role": "user", "content": "2+2"}], "stream": stream}
    with ModelServer(reply) as server:
        answer = httpx.post(f"{server.v1}/chat/completions", json=body)
    message = joined(answer.text) if stream else answer.json()["choices"][0]["message"]
    if style == "think":
        assert message["content"] == "<think>\nTwo and two.\n</think>\n\nFour."
    else:
        assert message["content"] == "Four."
        assert message[style] == "Two and two."


def joined(stream: str) -> dict[str, str]:
    message: dict[str, str] = {}
    for line in stream.splitlines():
        if not line.startswith("data: {"):
            continue
        for choice in json.loads(line[6:])["choices"]:
            for key, piece in choice["delta"].items():
                message[key] = message.get(key, "") + (piece or "")
    return message


async def test_an_exhausted_script_is_loud_on_both_sides() -> None:
    with ModelServer([say("only one")]) as server:
        model = client(server)
        await model.ainvoke("one")
        with pytest.raises(Exception, match="script exhausted: all 1 replies are used"):
            await model.ainvoke("two")
    assert len(server.errors) == 1
    assert "'two'" in server.errors[0]


async def test_replies_in_order_and_faults_among_them() -> None:
    with ModelServer([fail(Fault.OVERLOADED), say("back")]) as server:
        model = client(server)
        with pytest.raises(Exception, match="overloaded"):
            await model.ainvoke("one")
        message = await model.ainvoke("two")
    assert isinstance(message, AIMessage)
    assert message.content == "back"
