"""Answers from a file, for tests and for showing failures: no server, no network."""

import asyncio

from core.config.settings import ModelSpec
from llm_registry.providers.catalog import Api, Built
from llm_registry.providers.scripted_model import ScriptedChatModel, ScriptExhausted


async def build(spec: ModelSpec, *, api: Api, num_ctx: int | None = None) -> Built:
    """Read the script named by `options.script`."""
    model = await asyncio.to_thread(ScriptedChatModel.from_file, str(spec.options["script"]))
    return Built(model=model, errors=(ScriptExhausted, OSError, ValueError), streams=False)
