"""Answers from a file, for tests and for demonstrating failures: no server, no network."""

import asyncio

from core.config.settings import ModelSpec
from llm_registry.providers.catalog import Api, BuiltModel
from llm_registry.providers.scripted_model import ScriptedChatModel, ScriptExhausted


async def build(spec: ModelSpec, *, api: Api, num_ctx: int | None = None) -> BuiltModel:
    """Read the script named by `options.script`."""
    model = await asyncio.to_thread(ScriptedChatModel.from_file, str(spec.options["script"]))
    return BuiltModel(model=model, errors=(ScriptExhausted, OSError, ValueError), streams=False)
