"""The engine without weights, behind the same door as every model."""

from core.config.settings import ModelSpec
from llm_registry.embedded.model import EmbeddedChatModel
from llm_registry.providers.catalog import Api, Built


async def build(spec: ModelSpec, *, api: Api, num_ctx: int | None = None) -> Built:
    """Build the engine; its mistakes are ours, so nothing it raises is taken for a server's failure."""
    return Built(model=EmbeddedChatModel(**spec.options), errors=(), streams=False)
