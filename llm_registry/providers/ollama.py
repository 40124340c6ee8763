"""Ollama's native protocol, which alone can set the window per call."""

import os
from typing import Any

import httpx
import ollama

from core.config.settings import ModelSpec
from llm_registry.failures.redirects import refuse_redirects, refuse_redirects_sync
from llm_registry.providers.catalog import Api, BuiltModel
from llm_registry.providers.ollama_stream import TolerantChatOllama, raise_refusal, use_plain_objects
from llm_registry.providers.openai_compatible import build_client
from llm_registry.specs.addresses import endpoint_url
from llm_registry.specs.network import is_local, trusted_certificates

_READ = frozenset({"headers", "num_ctx", "threads", "keep_alive"})
"""Options with their own field; all others go to the server unchanged."""
ERRORS: tuple[type[Exception], ...] = (
    ollama.ResponseError, ollama.RequestError, httpx.HTTPError, httpx.StreamError,
    OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError,
)  # fmt: skip


async def build(spec: ModelSpec, *, api: Api, num_ctx: int | None = None) -> BuiltModel:
    """Build the client of one spec; an address ending in `/v1` means the OpenAI protocol."""
    base_url = endpoint_url(spec)
    if base_url.endswith("/v1"):
        return build_client(spec, api=api, extra_body=_effort(spec))
    headers = {str(key): str(value) for key, value in spec.options.get("headers", {}).items()}
    if spec.api_key and spec.api_key != "not-needed":
        headers.setdefault("Authorization", f"Bearer {spec.api_key}")
    parameters: dict[str, Any] = {
        "model": spec.model,
        "base_url": base_url,
        "temperature": spec.temperature,
        "num_predict": spec.max_output_tokens,
        "num_ctx": num_ctx or spec.options.get("num_ctx"),
        "num_thread": spec.options.get("threads"),
        "keep_alive": spec.options.get("keep_alive"),
        "more_options": {name: value for name, value in spec.options.items() if name not in _READ},
        "reasoning": None if spec.thinking == "auto" else spec.thinking,
        "client_kwargs": {
            "timeout": httpx.Timeout(None, connect=spec.timeouts.connect),
            "trust_env": not is_local(base_url),
            "verify": trusted_certificates() if base_url.startswith("https:") or not is_local(base_url) else False,
            "headers": headers,
            "follow_redirects": False,
        },
        "async_client_kwargs": {"event_hooks": {"response": [refuse_redirects, raise_refusal]}},
        "sync_client_kwargs": {"event_hooks": {"response": [refuse_redirects_sync]}},
    }
    model = TolerantChatOllama(**{key: value for key, value in parameters.items() if value is not None})
    _forget_key_of_environment(model)
    use_plain_objects(model)
    return BuiltModel(model=model, errors=ERRORS, close=model._async_client.close)  # noqa: SLF001 - it has no other door


def _forget_key_of_environment(model: TolerantChatOllama) -> None:
    """The library sends `OLLAMA_API_KEY` to whichever server it is pointed at; a spec names its own key."""
    ambient = f"Bearer {os.environ.get('OLLAMA_API_KEY', '')}"
    given = (model.client_kwargs or {}).get("headers", {})
    if any(name.lower() == "authorization" for name in given):
        return
    for client in (model._client, model._async_client):  # noqa: SLF001 - it has no other door
        if client._client.headers.get("authorization") == ambient:  # noqa: SLF001
            del client._client.headers["authorization"]  # noqa: SLF001


def _effort(spec: ModelSpec) -> dict[str, Any]:
    """Thinking as Ollama's `/v1` expects it, which knows only an effort."""
    if spec.thinking == "auto":
        return {}
    return {"reasoning_effort": "medium" if spec.thinking else "none"}
