"""Streams of `/v1/responses` as llama.cpp sends them: without numbers, and with reasoning nobody reads."""

import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from langchain_core.messages import AIMessageChunk

from core.config.settings import ModelSpec
from llm_registry.calls.normalize import ParsedAnswer, parse_answer
from llm_registry.failures.errors import CallFailure
from llm_registry.providers.openai_compatible import build

REASONING = {"id": "rs_1", "type": "reasoning", "summary": [], "content": [], "encrypted_content": ""}
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "status": "in_progress"}
CALL = {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "look", "arguments": "", "status": "x"}
TOOLS = {"look": {"type": "object", "properties": {"at": {"type": "string"}}}}


def event(kind: str, **more: object) -> dict[str, object]:
    return {"type": f"response.{kind}", **more}


def finished(*output: object) -> dict[str, object]:
    usage = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    return event("completed", response={
        "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m",
        "output": list(output), "usage": usage,
    })  # fmt: skip


async def heard(*events: dict[str, object]) -> ParsedAnswer:
    """What is understood of a stream."""

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for one in events:
            await response.write(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode())
        return response

    application = web.Application()
    application.router.add_post("/v1/responses", stream)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    built = await build(ModelSpec(provider="openai_compatible", model="m", base_url=url), api="responses")
    assert built.close is not None
    try:
        whole: AIMessageChunk | None = None
        chunks: AsyncIterator[AIMessageChunk] = built.model.astream("hi")  # type: ignore[assignment]
        async for chunk in chunks:
            whole = chunk if whole is None else whole + chunk
        assert whole is not None
        return parse_answer(whole, TOOLS)
    finally:
        await built.close()
        await runner.cleanup()


async def test_words_are_not_glued_onto_the_reasoning_before_them() -> None:
    answer = await heard(
        event("created", response={"id": "resp_1", "object": "response", "status": "in_progress"}),
        event("output_item.added", item=REASONING),
        event("reasoning_text.delta", item_id="rs_1", delta="Let me "),
        event("reasoning_text.delta", item_id="rs_1", delta="think."),
        event("output_item.added", item=MESSAGE),
        event("output_text.delta", item_id="msg_1", delta="It is "),
        event("output_text.delta", item_id="msg_1", delta="red."),
        event("output_item.done", item=REASONING),
        event("output_item.done", item=MESSAGE | {"status": "completed"}),
        finished(REASONING, MESSAGE),
    )
    assert answer.text == "It is red."
    assert answer.reasoning == "Let me think."
    assert answer.response_id == "resp_1"
    assert answer.usage.output_tokens == 4


async def test_two_calls_stay_two() -> None:
    second = CALL | {"id": "fc_2", "call_id": "call_2"}
    answer = await heard(
        event("created", response={"id": "resp_1", "object": "response", "status": "in_progress"}),
        event("output_item.added", item=CALL),
        event("function_call_arguments.delta", item_id="fc_1", delta='{"at": "a"}'),
        event("output_item.added", item=second),
        event("function_call_arguments.delta", item_id="fc_2", delta='{"at": "b"}'),
        event("output_item.done", item=CALL | {"arguments": '{"at": "a"}'}),
        event("output_item.done", item=second | {"arguments": '{"at": "b"}'}),
        finished(CALL, second),
    )
    assert [call.args for call in answer.calls] == [{"at": "a"}, {"at": "b"}]
    assert answer.broken == ()


async def test_an_error_in_the_stream_is_a_failure() -> None:
    with pytest.raises(CallFailure, match="out of memory"):
        await heard(
            event("created", response={"id": "resp_1", "object": "response", "status": "in_progress"}),
            {"type": "error", "message": "CUDA out of memory", "code": "x", "param": None, "sequence_number": 1},
        )
