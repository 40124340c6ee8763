"""How the usual clients take the misbehaviours: what a caller on top of them has to expect."""

import ollama
import openai
import pydantic
import pytest
from langchain_core.exceptions import OutputParserException
from langchain_ollama import ChatOllama
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from tests.modelserver.faults import Fault
from tests.modelserver.info import Shape
from tests.modelserver.reply import Call, call_all, give, say
from tests.modelserver.server import faulty
from tests.unit.modelserver.test_chat import WEATHER

GOOD = give({"ok": True, "reason": "fine"})


class Verdict(BaseModel):
    """A judgement."""

    ok: bool
    reason: str


def openai_model(server, **options) -> ChatOpenAI:
    return ChatOpenAI(model="m", base_url=server.v1, api_key="x", max_retries=0, **options)


def ollama_model(server, **options) -> ChatOllama:
    return ChatOllama(model="m", base_url=server.url, **options)


async def verdict(fault: Fault, method: str, *, shape: Shape = Shape.OPENAI):
    make = ollama_model if shape is Shape.OLLAMA else openai_model
    with faulty(fault, GOOD, shape=shape) as server:
        model = make(server).with_structured_output(Verdict, method=method)
        return await model.ainvoke("Judge in JSON.")


@pytest.mark.parametrize(
    ("fault", "method", "error"),
    [
        (Fault.PROSE, "json_schema", pydantic.ValidationError),
        (Fault.PROSE, "json_mode", OutputParserException),
        (Fault.FENCED_JSON, "json_schema", pydantic.ValidationError),
        (Fault.WRONG_TYPES, "json_schema", pydantic.ValidationError),
        (Fault.WRONG_TYPES, "function_calling", pydantic.ValidationError),
        (Fault.TRUNCATED, "json_schema", openai.LengthFinishReasonError),
        (Fault.NO_RESPONSE_FORMAT, "json_schema", openai.BadRequestError),
        (Fault.NO_RESPONSE_FORMAT, "json_mode", openai.BadRequestError),
        (Fault.NO_TOOLS, "function_calling", openai.BadRequestError),
    ],
)
async def test_chat_openai_raises(fault, method, error) -> None:
    with pytest.raises(error):
        await verdict(fault, method)


async def test_chat_openai_says_none_where_prose_came_instead_of_a_call() -> None:
    assert await verdict(Fault.PROSE, "function_calling") is None


async def test_chat_openai_finds_json_in_a_fence_in_json_mode() -> None:
    assert await verdict(Fault.FENCED_JSON, "json_mode") == Verdict(ok=True, reason="fine")


@pytest.mark.parametrize(
    ("fault", "method", "error"),
    [
        (Fault.PROSE, "json_schema", OutputParserException),
        (Fault.WRONG_TYPES, "json_schema", OutputParserException),
        (Fault.TRUNCATED, "json_schema", OutputParserException),
        (Fault.NO_TOOLS, "function_calling", ollama.ResponseError),
        (Fault.OVERLOADED, "json_schema", ollama.ResponseError),
        (Fault.ERROR_IN_STREAM, "json_schema", ollama.ResponseError),
    ],
)
async def test_chat_ollama_raises(fault, method, error) -> None:
    with pytest.raises(error):
        await verdict(fault, method, shape=Shape.OLLAMA)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.REFUSED, openai.APIConnectionError),
        (Fault.RESET, openai.APIConnectionError),
        (Fault.CUT, openai.APIConnectionError),
        (Fault.AUTH, openai.AuthenticationError),
        (Fault.UNKNOWN_MODEL, openai.NotFoundError),
        (Fault.RATE_LIMITED, openai.RateLimitError),
        (Fault.CONTEXT_LLAMA_CPP, openai.BadRequestError),
        (Fault.SERVER_ERROR_HTML, openai.InternalServerError),
        (Fault.ERROR_IN_STREAM, openai.APIError),
    ],
)
async def test_a_stream_of_chat_openai_raises(fault, error) -> None:
    with faulty(fault) as server, pytest.raises(error):
        await openai_model(server, streaming=True).ainvoke("hi")


@pytest.mark.parametrize("fault", [Fault.NO_FINISH_REASON, Fault.EMPTY_CONTENT])
async def test_a_stream_without_an_end_or_words_passes_for_an_answer(fault) -> None:
    with faulty(fault, say("Half of")) as server:
        message = await openai_model(server, streaming=True).ainvoke("hi")
    assert message.text == ("" if fault is Fault.EMPTY_CONTENT else "Half of")
    assert message.response_metadata.get("finish_reason") == ("stop" if fault is Fault.EMPTY_CONTENT else None)


async def test_broken_arguments_come_as_invalid_calls() -> None:
    good = call_all(Call("get_weather", {"city": "Oslo"}))
    with faulty(Fault.ARGUMENTS_BROKEN, good) as server:
        message = await openai_model(server).bind_tools([WEATHER]).ainvoke("weather?")
    assert message.tool_calls == []
    assert message.invalid_tool_calls[0]["name"] == "get_weather"


async def test_arguments_that_are_a_number_break_chat_openai_itself() -> None:
    good = call_all(Call("get_weather", {"city": "Oslo"}))
    with faulty(Fault.ARGUMENTS_42, good) as server, pytest.raises(pydantic.ValidationError):
        await openai_model(server).bind_tools([WEATHER]).ainvoke("weather?")


async def test_retries_of_the_client_are_seen_by_the_server() -> None:
    with faulty(Fault.OVERLOADED, say("back"), times=1) as server:
        model = ChatOpenAI(model="m", base_url=server.v1, api_key="x", max_retries=2)
        assert (await model.ainvoke("hi")).text == "back"
    assert len(server.requests) == 2
