"""OpenRouter: many hosted models behind one key. Always paid unless the spec says otherwise."""

from core.config.settings import ModelSpec
from llm_registry.providers.catalog import Api, BuiltModel
from llm_registry.providers.openai_compatible import build_client
from llm_registry.specs.addresses import endpoint_url


async def build(spec: ModelSpec, *, api: Api, num_ctx: int | None = None) -> BuiltModel:
    """Build the client of one spec; nothing is sent yet."""
    addressed = spec.model_copy(update={"base_url": endpoint_url(spec)})
    body = {} if spec.thinking == "auto" else {"reasoning": {"enabled": spec.thinking}}
    return build_client(addressed, api=api, headers={"X-Title": "rolecall"}, extra_body=body)
