"""A fault of rolecall itself: what is left of it in the thread's record, and what a model is told."""

import json
from pathlib import Path

import pytest

from nodes import scope
from tests.integration.jobs import SLUGIFY, SLUGS, Heard, do, openai, settings_with
from tests.modelserver.competent import CompetentScript
from tests.modelserver.server import ModelServer
from tests.repositories import make_repository
from tests.unit.rolecall.command_line import rolecall
from tools.agent import file_tools

OFF = {"ROLECALL_CONFIG": ""}


def broken(*_: object, **__: object) -> str:
    raise ZeroDivisionError("a fault of ours")


def record_of(repo: Path) -> list[dict[str, object]]:
    (path,) = (repo / ".rolecall" / "runs").glob("*/events.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_a_fault_in_a_node_leaves_its_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    monkeypatch.setattr(scope, "keep_criteria", broken)
    with ModelServer(CompetentScript(files=SLUGIFY)) as server, pytest.raises(ZeroDivisionError):
        await do(repo, "Add slugify", settings_with(openai(server.v1)))
    (told,) = [event for event in record_of(repo) if event["event"] == "error"]
    assert (told["code"], told["message"]) == ("internal", "ZeroDivisionError: a fault of ours")
    assert "Traceback (most recent call last)" in str(told["traceback"])
    assert "nodes/scope.py" in str(told["traceback"])
    shown = rolecall("log", str(told["thread"]), cwd=repo, env=OFF).out
    assert "Traceback (most recent call last)" in shown
    assert "in broken" in shown


async def test_a_fault_in_a_tool_is_not_for_the_model_to_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo, heard = make_repository(tmp_path / "repo", SLUGS), Heard()
    monkeypatch.setattr(file_tools, "open_beneath", broken)
    with ModelServer(CompetentScript(files=SLUGIFY)) as server:
        await do(repo, "Add slugify", settings_with(openai(server.v1), budget={"max_model_calls": 8}), heard=heard)
        told = [message.text for request in server.requests for message in request.messages if message.role == "tool"]
    assert any("a bug in rolecall" in text for text in told)
    assert not any("Traceback" in text or "try again" in text.lower() for text in told)
    kept = [event for event in record_of(repo) if event["event"] == "warning" and event.get("traceback")]
    assert kept
    assert "ZeroDivisionError: a fault of ours" in str(kept[0]["traceback"])
