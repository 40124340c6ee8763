"""A GGUF file of the user, served by llama.cpp's own server on this machine, started on demand."""

from core.settings import ModelSpec
from llm_registry.gguf.server import ensure_server
from llm_registry.providers.catalog import Api, Built
from llm_registry.providers.openai_compatible import build as build_openai


async def build(spec: ModelSpec, *, api: Api, num_ctx: int | None = None) -> Built:
    """Start or find the server of the file, then speak to it like to any other."""
    base_url = await ensure_server(spec)
    return await build_openai(spec.model_copy(update={"base_url": base_url}), api=api, num_ctx=num_ctx)
