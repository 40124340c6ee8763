"""Servers that speak OpenAI's protocols: llama.cpp, LM Studio, vLLM, text-generation-webui and similar."""

from importlib import import_module
from typing import Any

import openai
from langchain_core.language_models import LanguageModelInput
from langchain_core.outputs import ChatGenerationChunk
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from core.config.settings import ModelSpec
from llm_registry.failures.redirects import refuse_redirects, refuse_redirects_sync
from llm_registry.providers.catalog import Api, BuiltModel, request_fields
from llm_registry.providers.chat_stream import RepairedStreams, repair_chunks
from llm_registry.providers.responses_stream import repair_events
from llm_registry.specs.network import is_local, trusted_certificates

_HTTP_LIBRARY: Any = import_module(openai.DefaultAsyncHttpxClient.__mro__[1].__module__.split(".")[0])
# Newer clients use `httpx2`, older ones `httpx`; its errors leak out of streams unwrapped.

ERRORS: tuple[type[Exception], ...] = (
    openai.OpenAIError, _HTTP_LIBRARY.HTTPError, _HTTP_LIBRARY.StreamError,
    OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError,
)  # fmt: skip
_REASONING_KEYS = ("reasoning_content", "reasoning")
_LARGE = ("messages", "input", "tools")


class TolerantChatOpenAI(ChatOpenAI):
    """`ChatOpenAI` that keeps reasoning traces and leaves reading structured answers to us.

    A call may be given `at_most`, the tokens of its answer.
    """

    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        at_most = kwargs.pop("at_most", None)
        payload = super()._get_request_payload(input_, stop=stop, **kwargs)
        if at_most is not None:
            key = _limit_key(responses=bool(self.use_responses_api))
            payload["extra_body"] = {key: at_most, **(payload.get("extra_body") or {})}
        if not self.use_responses_api and (form := payload.pop("response_format", None)) is not None:
            # Seen by the client, it would parse the answer itself and raise at the first one that is cut off.
            payload["extra_body"] = {**(payload.get("extra_body") or {}), "response_format": form}
        for message in payload.get("messages", ()):
            # A call of tools without words has `null` here, which llama-cpp-python refuses.
            if message.get("content", "") is None:
                message["content"] = ""
        return _past_the_transform(payload)

    def _convert_chunk_to_generation_chunk(
        self, chunk: dict[str, Any], default_chunk_class: type, base_generation_info: dict[str, Any] | None
    ) -> ChatGenerationChunk | None:
        choices = chunk.get("choices") or []
        delta = (choices[0].get("delta") or {}) if choices else {}
        converted = super()._convert_chunk_to_generation_chunk(chunk, default_chunk_class, base_generation_info)
        thought = next((delta[key] for key in _REASONING_KEYS if isinstance(delta.get(key), str) and delta[key]), "")
        if thought and converted is not None:
            converted.message.additional_kwargs["reasoning_content"] = thought
        return converted


def _past_the_transform(payload: dict[str, Any]) -> dict[str, Any]:
    """The payload with its large parts where the client sends them as they are.

    It compares every value with the type of its parameter to find what must be renamed or encoded; in these nothing
    must, and over a whole transcript it takes longer than everything else about a call. An empty list keeps the place
    of each, so that the body is the same.
    """
    large = {key: payload[key] for key in _LARGE if isinstance(payload.get(key), list)}
    extra = {**large, **(payload.get("extra_body") or {})}
    return {**payload, **{key: [] for key in large}, "extra_body": extra or None}


async def build(spec: ModelSpec, *, api: Api, num_ctx: int | None = None) -> BuiltModel:
    """Build the client of one spec; nothing is sent yet."""
    return build_client(spec, api=api, extra_body=_thinking(spec))


def build_client(
    spec: ModelSpec, *, api: Api, extra_body: dict[str, Any], headers: dict[str, str] | None = None
) -> BuiltModel:
    """Build the LangChain client for an OpenAI-style server."""
    timeout = openai.Timeout(None, connect=spec.timeouts.connect)
    own_headers = {str(key): str(value) for key, value in spec.options.get("headers", {}).items()}
    parameters: dict[str, Any] = {
        "model": spec.model or "default",
        "base_url": spec.base_url,
        "api_key": SecretStr(spec.api_key or "not-needed"),
        "max_retries": 0,
        "stream_usage": True,
        "stream_chunk_timeout": 0,
        "timeout": timeout,
        "temperature": spec.temperature,
        "default_headers": {**(headers or {}), **own_headers} or None,
        "extra_body": {**extra_body, **request_fields(spec)} or None,
        "use_responses_api": api == "responses",
        "openai_proxy": "",
        "http_async_client": openai.DefaultAsyncHttpxClient(**_wire(spec, timeout, refuse_redirects)),
        "http_client": openai.DefaultHttpxClient(**_wire(spec, timeout, refuse_redirects_sync)),
    }
    if spec.max_output_tokens is not None:
        key = _limit_key(responses=api == "responses")
        parameters["extra_body"] = {**(parameters["extra_body"] or {}), key: spec.max_output_tokens}
    client = TolerantChatOpenAI(**{key: value for key, value in parameters.items() if value is not None})
    _forget_environment(client, parameters["default_headers"] or {})
    client.async_client = RepairedStreams(client.async_client, repair_chunks)
    openai_client = client.root_async_client
    openai_client.responses = RepairedStreams(openai_client.responses, repair_events)
    return BuiltModel(model=client, errors=ERRORS, answers_whole=True, close=openai_client.close)


def _wire(spec: ModelSpec, timeout: openai.Timeout, hook: Any) -> dict[str, Any]:
    """How a client reaches the server: past proxies when it is the user's own, and never redirected to another one."""
    outside = not is_local(spec.base_url)
    return {
        "timeout": timeout,
        "trust_env": outside,
        # Building a TLS context takes longer than many a call.
        "verify": trusted_certificates() if outside or spec.base_url.startswith("https:") else False,
        "follow_redirects": False,
        "event_hooks": {"response": [hook]},
    }


def _forget_environment(client: ChatOpenAI, headers: dict[str, str]) -> None:
    """Drop what the library reads from `OPENAI_…` variables, whichever server it is pointed at."""
    for each in (client.root_client, client.root_async_client):
        each.organization = each.project = None
        each._custom_headers = headers  # noqa: SLF001 - it has no other door


def _limit_key(*, responses: bool) -> str:
    # `max_completion_tokens`, which the client would send, is ignored by several local servers.
    return "max_output_tokens" if responses else "max_tokens"


def _thinking(spec: ModelSpec) -> dict[str, Any]:
    if spec.thinking == "auto":
        return {}
    return {"chat_template_kwargs": {"enable_thinking": spec.thinking}}
