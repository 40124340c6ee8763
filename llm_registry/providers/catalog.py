"""Finds the provider of a spec and lets it build the chat model. Heavy libraries are imported only here, on demand."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel

from core.config.settings import ModelSpec
from core.errors import ConfigError
from core.suggest import did_you_mean
from llm_registry.specs.addresses import sets_window

_MODULES = {
    "openai_compatible": "llm_registry.providers.openai_compatible",
    "ollama": "llm_registry.providers.ollama",
    "openrouter": "llm_registry.providers.openrouter",
    "gguf": "llm_registry.providers.gguf",
    "embedded": "llm_registry.providers.embedded",
    "scripted": "llm_registry.providers.scripted",
}
_ALIASES = {
    "openai": "openai_compatible", "llama.cpp": "openai_compatible", "llamacpp": "openai_compatible",
    "lmstudio": "openai_compatible", "vllm": "openai_compatible", "text-generation-webui": "openai_compatible",
}  # fmt: skip

_NEEDS: dict[str, dict[str, str]] = {
    "openai_compatible": {"base_url": '"base_url": "http://127.0.0.1:PORT/v1"'},
    "openrouter": {"api_key": '"api_key": "${OPENROUTER_API_KEY}"', "model": '"model": "VENDOR/MODEL"'},
    "ollama": {"model": '"model": "NAME:TAG"'},
    "scripted": {"script": '"options": {"script": "answers.json"}'},
}

GGUF_OPTIONS = ("path", "num_ctx", "threads", "slots", "idle_s", "start_s")
_NATIVE = ("num_ctx", "num_gpu", "threads", "keep_alive", "slots", "idle_s", "start_s", "path", "script")
"""Options that no OpenAI-style server accepts in a request: it would silently drop them."""
_OPENAI_OPTIONS = ("headers", "extra_body")
_CLOSED: dict[str, tuple[str, ...]] = {"embedded": (), "scripted": ("script",)}
"""Providers that send nothing, with all their options."""

Api = Literal["chat", "responses"]


@dataclass(frozen=True, slots=True)
class BuiltModel:
    """A chat model ready for calls, with what it may raise and how to call it."""

    model: BaseChatModel
    errors: tuple[type[Exception], ...]
    streams: bool = True
    answers_whole: bool = False
    """Can be asked for an answer in one piece if a stream fails."""
    current: Callable[[], Awaitable[bool]] | None = None
    """Asked before each use whether the model still uses the right address; `None` means always."""
    close: Callable[[], Awaitable[None]] | None = None
    """Closes connections."""


def provider_names() -> tuple[str, ...]:
    """Names accepted as `provider`."""
    return (*_MODULES, *_ALIASES)


def check_spec(spec: ModelSpec, name: str) -> None:
    """Check that a spec has what its provider needs, before anything is built.

    Args:
        spec: The configured endpoint and model.
        name: Its name in messages.

    Raises:
        ConfigError: The provider is unknown or lacks something.
    """
    provider = _ALIASES.get(spec.provider, spec.provider)
    if provider not in _MODULES:
        raise ConfigError(
            f"llm.{name}: unknown provider {spec.provider!r}{did_you_mean(spec.provider, provider_names())}",
            hint=f"one of {', '.join(_MODULES)}",
        )
    for key, example in _NEEDS.get(provider, {}).items():
        if not (getattr(spec, key, "") or spec.options.get(key)):
            raise ConfigError(f"llm.{name}: provider {spec.provider!r} has no {key}", hint=f"add {example}")
    for option in spec.options:
        if why := _why_refused(provider, spec, option):
            raise ConfigError(f"llm.{name}.options.{option}: {why[0]}", hint=why[1])


def _why_refused(provider: str, spec: ModelSpec, option: str) -> tuple[str, str] | None:
    """Why an option would be lost, and what to do; `None` when it is read here or sent to the server."""
    if provider in _CLOSED:
        return None if option in _CLOSED[provider] else (f"provider {provider!r} has no such option", "leave it out")
    if provider == "ollama":
        if sets_window(spec):
            refused = option == "extra_body"
            return ("only an address that ends in /v1 accepts it", "name the option itself") if refused else None
        hint = "drop /v1 from base_url, or put it into options.extra_body if Ollama's /v1 knows it"
        return None if option in _OPENAI_OPTIONS else ("Ollama's /v1 takes no options", hint)
    if option in _NATIVE and not (provider == "gguf" and option in GGUF_OPTIONS):
        return f"provider {provider!r} has no such option", "leave it out, or set it where the server is started"
    return None


def request_fields(spec: ModelSpec) -> dict[str, Any]:
    """What the options of an OpenAI-style server add to the body of each request."""
    own = {*_OPENAI_OPTIONS, *(GGUF_OPTIONS if spec.provider == "gguf" else ())}
    return {
        **{key: value for key, value in spec.options.items() if key not in own},
        **spec.options.get("extra_body", {}),
    }


async def build_model(spec: ModelSpec, *, api: Api, num_ctx: int | None = None) -> BuiltModel:
    """Build the chat model of a spec.

    Args:
        spec: The configured endpoint and model.
        api: Which of the OpenAI protocols to use, where there is a choice.
        num_ctx: Window in tokens to request from a server that sets it per call.

    The spec has passed `check_spec`.
    """
    # These libraries take a second or more to import, and the loop has a run to keep alive meanwhile.
    module = await asyncio.to_thread(import_module, _MODULES[_ALIASES.get(spec.provider, spec.provider)])
    built: BuiltModel = await module.build(spec, api=api, num_ctx=num_ctx)
    return built
