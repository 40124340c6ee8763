"""The embedded engine, behind the same interface as every model."""

from core.config.settings import ModelSpec
from llm_registry.embedded.model import EmbeddedChatModel
from llm_registry.providers.catalog import Api, BuiltModel


async def build(spec: ModelSpec, *, api: Api, num_ctx: int | None = None) -> BuiltModel:
    """Build the engine; its errors are our bugs, so nothing it raises is treated as a server failure."""
    return BuiltModel(model=EmbeddedChatModel(**spec.options), errors=(), streams=False)
