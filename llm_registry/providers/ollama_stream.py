"""Reads Ollama's stream as it was sent: keeps what the client library drops, rejects or rewrites.

The library rejects tool arguments that are not an object, turns a string that looks like JSON into an object (so that
no JSON file could be written), drops thinking that was not requested, and the headers of a refusal. Owns only
that.
"""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import httpx
import ollama
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import ToolCallChunk
from langchain_core.outputs import ChatGenerationChunk
from langchain_ollama import ChatOllama
from pydantic import Field


class TolerantChatOllama(ChatOllama):
    """`ChatOllama` that passes on text, thinking and arguments unchanged.

    A call may be given `at_most`, the tokens of its answer.
    """

    more_options: dict[str, Any] = Field(default_factory=dict)
    """Sent along with those that the library knows, which would silently drop them."""

    def _chat_params(self, messages: list[BaseMessage], stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        at_most = kwargs.pop("at_most", None)
        params = super()._chat_params(messages, stop, **kwargs)
        bound = {} if at_most is None else {"num_predict": at_most}
        params["options"] = {**params["options"], **self.more_options, **bound}
        return params

    async def _aiterate_over_stream(
        self, messages: list[BaseMessage], stop: list[str] | None = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        calls = 0
        async for part in self._acreate_chat_stream(messages, stop, **kwargs):
            if not isinstance(part, Mapping):
                continue
            said = part.get("message") or {}
            chunks = list(_chunks(said.get("tool_calls") or (), calls))
            calls += len(chunks)
            thought = said.get("thinking")
            about = {key: value for key, value in part.items() if key != "message"} if part.get("done") else None
            message = AIMessageChunk(
                content=said.get("content") or "",
                additional_kwargs={"reasoning_content": thought} if thought else {},
                tool_call_chunks=chunks,
                usage_metadata=_usage(part),
            )
            yield ChatGenerationChunk(message=message, generation_info=about)


def use_plain_objects(model: ChatOllama) -> None:
    """Let a model's client return plain objects: its own types reject a whole answer because of one odd argument."""
    client: Any = model._async_client  # noqa: SLF001 - it has no other door
    ask = client._request  # noqa: SLF001

    async def plainly(_: type, *args: Any, **kwargs: Any) -> Any:
        return await ask(dict, *args, **kwargs)

    client._request = plainly  # noqa: SLF001


def _chunks(calls: Any, before: int) -> Iterator[ToolCallChunk]:
    for place, call in enumerate(calls):
        function = call.get("function") or {}
        arguments = function.get("arguments")
        yield ToolCallChunk(
            name=str(function.get("name") or ""),
            args=arguments if isinstance(arguments, str) else json.dumps({} if arguments is None else arguments),
            id=str(call.get("id") or "") or None,
            index=before + place,
            type="tool_call_chunk",
        )


def _usage(part: Mapping[str, Any]) -> UsageMetadata | None:
    if not part.get("done"):
        return None
    # Of a prompt that it still has in memory Ollama may count nothing.
    read, written = part.get("prompt_eval_count"), part.get("eval_count")
    if not isinstance(read, int) or not isinstance(written, int):
        return None
    return UsageMetadata(input_tokens=read, output_tokens=written, total_tokens=read + written)


async def raise_refusal(response: httpx.Response) -> None:
    """Raise what the library would raise for a refusal, with the headers: they say when to retry.

    Raises:
        ollama.ResponseError: The status is 400 or more.
    """
    if response.is_error:
        await response.aread()
        refusal: Any = ollama.ResponseError(response.text, response.status_code)
        refusal.response = response
        raise refusal
