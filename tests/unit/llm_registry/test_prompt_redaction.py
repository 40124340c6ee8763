"""No prompt carries a secret to a server, and no answer brings a server's own key back."""

import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from core.errors import ModelError
from core.redaction import Redactor, encodings, redact
from core.storage.database import Database
from llm_registry.calls.prompt_redaction import PromptRedactor
from llm_registry.calls.requests import RoleRequest
from llm_registry.records.call_log import CallLog, CallRow
from tests.modelserver.info import Shape
from tests.modelserver.reply import Reply, say
from tests.modelserver.request import ModelRequest
from tests.modelserver.server import ModelServer
from tests.unit.llm_registry.rig import SITE, Ear, chat_spec, registry

KEY = "horse+battery/" + "staple=9"
AWS = "AKIA" + "QWERTYUIOPASDFGH"
AMBIENT = "ambient-" + "word-of-the-day"


def conversation() -> list[BaseMessage]:
    called = {"id": "1", "name": "write_file", "args": {"path": "a", "text": [f"key = {AWS}"]}}
    return [
        SystemMessage(f"The gate opens with {KEY}."),
        HumanMessage([{"type": "text", "text": f"see http://x/?k={quote(KEY, safe='')}"}]),
        AIMessage("", tool_calls=[called], additional_kwargs={"reasoning_content": f"he said {KEY}"}),
        ToolMessage(f"env: {AMBIENT}\n{AWS}", tool_call_id="1"),
    ]


@pytest.mark.parametrize("shape", [Shape.OPENAI, Shape.OLLAMA])
async def test_no_word_of_a_prompt_is_a_secret(shape: Shape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATE_TOKEN", AMBIENT)
    with ModelServer(say("fine"), shape=shape, api_key=KEY) as server:
        provider = {"provider": "ollama", "base_url": server.url} if shape is Shape.OLLAMA else {}
        llm = {"coder": {**chat_spec(server, api_key=KEY), **provider}}
        async with registry(llm, tmp_path) as models:
            await models.chat("coder", conversation(), site=SITE)
            await models.chat("coder", conversation(), site=SITE)
    first, second = server.requests
    sent = json.dumps(first.body)
    for secret in (KEY, AWS, AMBIENT):
        for form in encodings(secret):
            assert form not in sent
    assert "[secret:" in sent
    assert first.headers["Authorization"] == f"Bearer {KEY}"
    assert first.body["messages"] == second.body["messages"]


async def test_what_is_clean_is_not_touched() -> None:
    ask = RoleRequest(role="coder", site=SITE, messages=(HumanMessage("hello"), AIMessage("hi")))
    assert PromptRedactor(Redactor({"k": KEY})).ask(ask) is ask


@pytest.mark.parametrize("form", encodings(KEY))
async def test_a_key_that_a_refusal_repeats_is_masked_in_every_encoding(form: str, tmp_path: Path) -> None:
    def refuses(_: ModelRequest) -> Reply:
        raise AssertionError(f"Incorrect key provided: {form} (see docs)")

    ear = Ear()
    with ModelServer(refuses) as server:
        async with registry({"coder": chat_spec(server, api_key=KEY)}, tmp_path, ear=ear) as models:
            with pytest.raises(ModelError) as failed:
                await models.chat("coder", [HumanMessage("hi")], site=SITE)
    assert form not in failed.value.message + failed.value.hint + json.dumps(ear.heard)
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert form.encode() not in stored


def test_a_short_key_is_masked_as_a_word() -> None:
    assert redact("the key k9! is wrong; ask9 k9!", ["k9!"]) == "the key *** is wrong; ask9 ***"
    assert redact("none of it", ["none"]) == "none of it"


async def test_a_server_that_answers_with_its_key_does_not_get_it_stored(tmp_path: Path) -> None:
    with ModelServer(say(f"your key is {KEY}, the variable says {AMBIENT}")) as server:
        async with registry({"coder": chat_spec(server, api_key=KEY)}, tmp_path) as models:
            reply = await models.chat("coder", [HumanMessage("hi")], site=SITE)
    assert KEY not in reply.text
    assert "the variable says" in reply.text


async def test_the_book_of_calls_holds_no_secret_of_the_run(tmp_path: Path) -> None:
    seen: list[Any] = []
    store = CallLog(Database(tmp_path / "c.db"), redactor=Redactor({"k": KEY}), watch=seen.append)
    await store.record(
        CallRow(role="r", spec=f"s:{KEY}", provider="p", model=KEY, outcome="auth", total_s=1, detail=KEY)
    )
    assert KEY not in repr(seen)
    assert all(KEY.encode() not in path.read_bytes() for path in tmp_path.iterdir())


def test_cleaning_costs_a_loop_little() -> None:
    cleaner = PromptRedactor(
        Redactor({f"name{number}": f"value-{number:04d}-{number * 7919:x}" for number in range(30)})
    )
    history = tuple(HumanMessage(f"{number}: " + "some line of source = 1\n" * 400) for number in range(10))
    cleaner.messages(history)
    began = time.perf_counter()
    cleaner.messages(history)
    # Seen before: a hundred kilobytes take well under a millisecond; the bound leaves room for a busy machine.
    assert time.perf_counter() - began < 0.05
