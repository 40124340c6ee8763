"""The registry in an event loop where blocking calls raise, as in `langgraph dev`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from pydantic import BaseModel

from core.config.settings import Settings
from core.replies import CallSite
from core.storage.database import Database
from llm_registry.diagnosis.bench import bench
from llm_registry.diagnosis.config_edits import ConfigOrigin
from llm_registry.diagnosis.doctor import diagnose_roles
from llm_registry.registry import open_registry
from tests.modelserver.reply import Reply, give, say
from tests.modelserver.request import ModelRequest
from tests.modelserver.server import ModelServer

blockbuster = pytest.importorskip("blockbuster")

# What `langgraph dev` lets through, too.
ALLOWED = ("os.stat", "os.listdir", "os.remove", "io.BufferedReader.read", "io.BufferedWriter.write",
           "io.TextIOWrapper.read", "io.TextIOWrapper.write", "threading.Lock.acquire")  # fmt: skip


class Colour(BaseModel):
    name: str


class Heard:
    def emit(self, event: str, /, **data: Any) -> None:
        """Nobody listens."""


def reply(request: ModelRequest) -> Reply:
    return give({"name": "red"}) if request.schema is not None else say("18 degrees")


@pytest.fixture
def detector() -> Iterator[Any]:
    made = blockbuster.BlockBuster(excluded_modules=[])
    yield made
    made.deactivate()


async def test_no_call_blocks_the_loop(tmp_path: Path, detector: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLECALL_STATE_DIR", str(tmp_path / "state"))
    config, database = tmp_path / "config.json", tmp_path / "rolecall.db"
    with ModelServer(reply) as server:
        spec = {"provider": "openai_compatible", "model": "scripted", "base_url": server.v1, "fallback": ["embedded"]}
        absent = {**spec, "provider": "ollama", "base_url": "http://127.0.0.1:9", "fallback": ["primary"]}
        tree = {"llm": {"primary": spec, "summarizer": absent}, "telemetry": {"record_prompts": True}}
        config.write_text(json.dumps(tree), encoding="utf-8")
        settings = Settings.model_validate(tree)
        for name, function in detector.functions.items():
            if name not in ALLOWED:
                function.activate()
        async with open_registry(settings, thread_id="t", database=Database(database), events=Heard()) as registry:
            await registry.assign()
            said = await registry.chat("summarizer", [HumanMessage("hi")], site=CallSite())
            colour, _ = await registry.ask("primary", [HumanMessage("Which?")], Colour, site=CallSite())
        diagnosis = await diagnose_roles(settings, origin=ConfigOrigin(config), live=True)
        compared = await bench(settings, "primary", [], database=Database(database))
    assert (said.text, colour.name) == ("18 degrees", "red")
    assert diagnosis.roles[0].serves
    assert compared.models[0].asked
