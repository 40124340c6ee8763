"""Comparing models: the same questions, recorded or built in, asked of scripted servers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage, SystemMessage

from core.artifacts import StepSummary
from core.config.settings import Settings, TelemetrySettings
from core.errors import UsageError
from core.redaction import Redactor
from core.replies import CallSite, ModelReply
from core.storage.database import Database
from llm_registry.diagnosis.bench import bench
from llm_registry.diagnosis.bench_tasks import tasks_for
from llm_registry.records.prompt_log import LoggedPrompt, PromptLog
from llm_registry.registry import open_registry
from tests.modelserver.reply import Reply, call, give, say
from tests.modelserver.request import ModelRequest
from tests.modelserver.server import ModelServer

TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}


def brief(request: ModelRequest) -> Reply:
    if request.schema is not None:
        return give({"status_line": "One test fails."})
    return say("test_total_with_discount fails: 90.0 instead of 81.0.")


class Heard:
    def emit(self, event: str, /, **data: Any) -> None:
        """Nobody listens."""


@pytest.fixture
def settings() -> Iterator[Settings]:
    with ModelServer(brief) as good, ModelServer(lambda _: say("I like trains.")) as bad:
        specs = {
            name: {"provider": "openai_compatible", "model": "scripted", "base_url": server.v1}
            for name, server in (("good", good), ("bad", bad))
        }
        yield Settings.model_validate(
            {"llm": {"models": specs, "summarizer": "good"}, "telemetry": {"record_prompts": True}}
        )


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLECALL_STATE_DIR", str(tmp_path / "state"))


async def test_the_built_in_set_tells_a_model_that_can_from_one_that_can_not(settings: Settings) -> None:
    compared = await bench(settings, "summarizer", ["good", "bad"])
    good, bad = compared.models
    assert not compared.recorded
    assert compared.questions[0] == "words: the output of a failing test run, to be summarized"
    assert (good.model, good.good, good.asked) == ("good", 2, 2)
    assert (bad.model, bad.good) == ("bad", 0)
    assert len(bad.errors) == 1
    assert "no model can serve" in bad.errors[0]
    assert good.seconds is not None
    assert "discount" in good.answers[0]


async def test_recorded_calls_are_asked_again(settings: Settings, tmp_path: Path) -> None:
    database = tmp_path / "rolecall.db"
    question = [SystemMessage("Be brief."), HumanMessage("What happened in step two?")]
    async with open_registry(settings, thread_id="t", database=Database(database), events=Heard()) as registry:
        await registry.ask("summarizer", question, StepSummary, site=CallSite())
        await registry.chat("summarizer", question, tools=[TOOL], site=CallSite())
    compared = await bench(settings, "summarizer", ["bad", "good"], database=Database(database))
    assert compared.recorded
    assert [title.partition(":")[0] for title in compared.questions] == ["StepSummary", "tools"]
    assert [figures.good for figures in compared.models] == [1, 2]


async def test_no_prompt_is_kept_unless_asked_for(settings: Settings, tmp_path: Path) -> None:
    database = tmp_path / "rolecall.db"
    quiet = settings.model_copy(update={"telemetry": TelemetrySettings()})
    async with open_registry(quiet, thread_id="t", database=Database(database), events=Heard()) as registry:
        await registry.chat("summarizer", [HumanMessage("a private question")], site=CallSite())
    assert b"private question" not in b"".join(path.read_bytes() for path in tmp_path.glob("rolecall.db*"))


async def test_kept_prompts_hold_no_key_and_stay_within_their_size(tmp_path: Path) -> None:
    database = tmp_path / "rolecall.db"
    store = PromptLog(
        Database(database),
        TelemetrySettings(record_prompts=True, prompts_mb=0.01),
        redactor=Redactor({"key": "swordfish"}),
    )
    for number in range(12):
        await store.keep(
            LoggedPrompt("coder", (HumanMessage(f"{number} swordfish sk-abcdefgh12 " + "x" * 1500),), "", (TOOL,))
        )
    kept = await store.recent("coder", limit=100)
    assert 3 <= len(kept) <= 6
    assert kept[-1].messages[0].text.startswith("11 [secret:key] ***")
    assert kept[-1].tools == (TOOL,)


async def test_an_unknown_model_is_a_usage_error(settings: Settings) -> None:
    with pytest.raises(UsageError, match="nonsense"):
        await bench(settings, "summarizer", ["nonsense"])


@pytest.mark.parametrize("role", ["primary", "coder", "router", "summarizer", "research"])
async def test_every_role_has_tasks_whose_checks_can_fail(role: str) -> None:
    for task in tasks_for(role):
        assert not task.check(ModelReply(text="Trains."))


async def test_the_coder_is_judged_by_its_calls(settings: Settings) -> None:
    def codes(request: ModelRequest) -> Reply:
        return call("read_file", path="src/cart.py") if request.tools else say("def slug(text):\n    return text")

    with ModelServer(codes) as server:
        compared = await bench(settings, "coder", [f"openai_compatible:scripted@{server.v1}"])
    assert compared.models[0].good == 2


async def test_an_empty_object_is_no_good_answer_to_a_recorded_call(tmp_path: Path) -> None:
    database = tmp_path / "rolecall.db"
    prompt = LoggedPrompt("summarizer", (HumanMessage("Step 1 is done."),), StepSummary.__name__)
    with ModelServer(lambda _: give({"status_line": ""})) as server:
        hollow = {"provider": "openai_compatible", "model": "scripted", "base_url": server.v1}
        given = {"llm": {"summarizer": hollow}, "telemetry": {"record_prompts": True}}
        settings = Settings.model_validate(given)
        await PromptLog(Database(database), settings.telemetry).keep(prompt, "a" * 32)
        compared = await bench(settings, "summarizer", [], database=Database(database))
    assert compared.recorded
    assert (compared.models[0].asked, compared.models[0].good, compared.models[0].errors) == (1, 0, ())


@pytest.mark.parametrize(
    "text",
    ['the log says "secret=abcdefgh12"', 'token="abcdefgh12"', 'curl -H "Authorization: Bearer abcdefgh12" http://nas',
     'my key is "open\\sesame"'],
)  # fmt: skip
async def test_quoted_keys_are_masked_and_the_prompt_stays_readable(text: str, tmp_path: Path) -> None:
    settings = TelemetrySettings(record_prompts=True)
    store = PromptLog(Database(tmp_path / "rolecall.db"), settings, redactor=Redactor({"key": "open\\sesame"}))
    await store.keep(LoggedPrompt("coder", (HumanMessage(text),)))
    (kept,) = await store.recent("coder")
    assert "***" in kept.messages[0].text or "[secret:key]" in kept.messages[0].text
    assert "abcdefgh12" not in kept.messages[0].text
    assert "sesame" not in kept.messages[0].text
