"""What tests of the registry share: an ear for events, settings of plain objects, and servers to point them at."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from langchain_core.messages import HumanMessage

from core.config.settings import BudgetSettings, LLMSettings, Settings
from core.replies import CallSite
from core.storage.database import Database
from llm_registry.registry import Registry, open_registry
from tests.modelserver.server import ModelServer

SITE = CallSite(thread="t", node="here")
HELLO = [HumanMessage("hello")]
QUICK = {"connect": 1.0, "first_token": 5.0, "idle": 5.0}


class Ear:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []

    def emit(self, event: str, /, **data: Any) -> None:
        self.heard.append((event, data))

    def of(self, event: str) -> list[dict[str, Any]]:
        return [data for name, data in self.heard if name == event]


def chat_spec(server: ModelServer | str, **more: Any) -> dict[str, Any]:
    url = server if isinstance(server, str) else server.v1
    return {"provider": "openai_compatible", "base_url": url, "model": "scripted", "api": "chat", "timeouts": QUICK,
            **more}  # fmt: skip


def settings_of(llm: Mapping[str, Any], **budget: Any) -> Settings:
    return Settings(llm=LLMSettings.model_validate(llm), budget=BudgetSettings(**budget))


@asynccontextmanager
async def registry(
    llm: Mapping[str, Any],
    folder: Path,
    *,
    ear: Ear | None = None,
    models: Mapping[str, str] | None = None,
    state: Path | None = None,
    **budget: Any,
) -> AsyncIterator[Registry]:
    async with open_registry(
        settings_of(llm, **budget), thread_id="t", database=Database(folder / "book.db"), events=ear or Ear(),
        models=models, state_dir=state or folder,
    ) as opened:  # fmt: skip
        yield opened
