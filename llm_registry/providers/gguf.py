"""A GGUF file of the user, served by llama.cpp's own server on this machine, started on demand."""

from dataclasses import replace

from core.config.settings import ModelSpec
from core.errors import ModelError
from llm_registry.failures.errors import CallFailure, ErrorKind
from llm_registry.gguf.server import ensure_server
from llm_registry.providers.catalog import Api, BuiltModel
from llm_registry.providers.openai_compatible import build as build_openai


async def build(spec: ModelSpec, *, api: Api, num_ctx: int | None = None) -> BuiltModel:
    """Start or find the server of the file, then use it like any other.

    Raises:
        CallFailure: The extra or the file is missing, or the file could not be loaded.
    """
    base_url = await _ensure(spec)
    built = await build_openai(spec.model_copy(update={"base_url": base_url}), api=api, num_ctx=num_ctx)

    async def current() -> bool:
        """Idle servers exit and crashed ones are replaced, both at another address."""
        return await _ensure(spec) == base_url

    return replace(built, current=current)


async def _ensure(spec: ModelSpec) -> str:
    try:
        return await ensure_server(spec)
    except ModelError as error:
        raise CallFailure(
            ErrorKind.UNKNOWN_MODEL, f"{error.message} ({error.hint})" if error.hint else error.message
        ) from error
