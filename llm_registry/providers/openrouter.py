"""OpenRouter: many hosted models behind one key. Always paid unless the spec says otherwise."""

from core.config.settings import ModelSpec
from llm_registry.providers.catalog import Api, BuiltModel
from llm_registry.providers.openai_compatible import make_client, with_errors_and_close

BASE_URL = "https://openrouter.ai/api/v1"


async def build(spec: ModelSpec, *, api: Api, num_ctx: int | None = None) -> BuiltModel:
    """Build the client of one spec; nothing is sent yet."""
    addressed = spec if spec.base_url else spec.model_copy(update={"base_url": BASE_URL})
    body = {} if spec.thinking == "auto" else {"reasoning": {"enabled": spec.thinking}}
    return with_errors_and_close(make_client(addressed, api=api, headers={"X-Title": "rolecall"}, extra_body=body))
