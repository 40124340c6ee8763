"""The engine without weights, behind the same door as every model."""

from core.config.settings import ModelSpec
from llm_registry.embedded.model import EmbeddedChatModel
from llm_registry.providers.catalog import Api, BuiltModel


async def build(spec: ModelSpec, *, api: Api, num_ctx: int | None = None) -> BuiltModel:
    """Build the engine; its mistakes are ours, so nothing it raises is taken for a server's failure."""
    return BuiltModel(model=EmbeddedChatModel(**spec.options), errors=(), streams=False)
