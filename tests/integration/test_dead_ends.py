"""What a run says where it cannot go on, and that it says so before anything is made for it."""

import asyncio
import json
import re
import socket
from pathlib import Path

import pytest

from core.storage.database import database_of
from graph.store.inbox import SqliteInbox
from llm_registry.diagnosis import doctor
from tests.integration.jobs import SLUGS, Heard, do, openai, settings_with
from tests.modelserver.competent import CompetentScript
from tests.modelserver.info import Shape
from tests.modelserver.server import ModelServer
from tests.repositories import git, make_repository
from tests.unit.rolecall.command_line import rolecall

FEATURE = "Add a function slugify with tests"
OFF = {"ROLECALL_CONFIG": ""}


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "USUAL_PLACES", ())


def dead_url() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/v1"


@pytest.mark.parametrize("fallback", [["embedded"], []])
async def test_a_task_that_nobody_can_do_makes_nothing_and_runs_nothing(tmp_path: Path, fallback: list[str]) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    url, heard = dead_url(), Heard()
    refused = await do(
        repo, FEATURE, settings_with(openai(url, fallback=fallback)), heard=heard,
        checks=[f"touch {tmp_path / 'it-ran'}"],
    )  # fmt: skip
    assert (refused.status, refused.exit_code) == ("needs_model", 4)
    assert f"start the server at {url}" in refused.hint
    assert not (tmp_path / "it-ran").exists()
    assert git(repo, "worktree", "list").count("\n") == 0
    assert git(repo, "branch", "--list", "rolecall/*") == ""
    assert not heard.named("node_started")
    assert [event["status"] for event in heard.named("result")] == ["needs_model"]
    (listed,) = json.loads(rolecall("threads", "--json", cwd=repo, env=OFF).out)["threads"]
    assert (listed["status"], listed["exit_code"], listed["branch"]) == ("needs_model", 4, "")
    changed = rolecall("diff", listed["thread_id"], cwd=repo, env=OFF)
    assert (changed.code, "nothing was changed" in changed.err) == (0, True)


async def test_a_question_that_nobody_can_answer_is_refused_as_early(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    refused = await do(repo, "What does shout do?")
    assert (refused.status, "no LLM" in refused.message) == ("needs_model", True)
    assert git(repo, "worktree", "list").count("\n") == 0


async def test_where_only_a_router_serves_the_checks_are_not_run(tmp_path: Path) -> None:
    repo, heard = make_repository(tmp_path / "repo", SLUGS), Heard()
    with ModelServer(CompetentScript(files={})) as server:
        away = openai(dead_url(), fallback=["embedded"])
        llm = {"primary": away, "coder": "primary", "reasoning": "primary", "router": openai(server.v1)}
        outcome = await do(repo, FEATURE, settings_with(None, llm=llm), heard=heard)
    assert (outcome.status, outcome.exit_code) == ("needs_model", 4)
    assert not heard.named("check_started")


async def test_a_server_of_this_machine_that_nobody_configured_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo, heard = make_repository(tmp_path / "repo", SLUGS), Heard()
    with ModelServer(CompetentScript(files={}), shape=Shape.OLLAMA, models=("qwen3:8b",)) as server:
        monkeypatch.setattr(doctor, "USUAL_PLACES", (("ollama", server.url),))
        assert (await do(repo, FEATURE, heard=heard)).exit_code == 4
    (told,) = [it["message"] for it in heard.named("warning") if "--model" in it["message"]]
    assert f"at {server.url} has qwen3:8b; use it with --model primary=ollama:qwen3:8b@{server.url}" in told


def test_a_message_to_a_finished_thread_is_refused_with_what_helps(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    with ModelServer(CompetentScript(routing="HANDLE", target="REASONING", answer="It shouts.")) as server:
        outcome = asyncio.run(do(repo, "What does shout do?", settings_with(openai(server.v1))))
    said = rolecall("steer", outcome.thread_id, "Louder", cwd=repo, env=OFF)
    assert (said.code, said.out) == (2, "")
    assert "is finished (answered); the message was not sent" in said.err
    assert "rolecall continue" in said.err
    assert asyncio.run(SqliteInbox(database_of(repo), outcome.thread_id).after(0)) == []
    assert "asks for more" in rolecall("resume", outcome.thread_id, cwd=repo, env=OFF).err


def test_an_address_without_a_scheme_is_refused_before_a_run(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    config = tmp_path / "c.json"
    config.write_text(json.dumps({"llm": {"primary": openai("localhost:5000/v1")}}))
    for words in (("config", "validate"), ("run", FEATURE)):
        said = rolecall(*words, f"--config={config}", cwd=repo, env=OFF)
        assert said.code == 3, said.err
        assert "llm.primary.base_url: an address must start with http:// or https://" in said.err
    given = rolecall("run", FEATURE, "--model=primary=openai_compatible:m@localhost:5000/v1", cwd=repo, env=OFF)
    assert (given.code, "its address has no scheme" in given.err) == (2, True), given.err


def test_nobody_is_told_to_change_the_sample_configuration(tmp_path: Path) -> None:
    said = rolecall("doctor", cwd=tmp_path, env={"XDG_CONFIG_HOME": str(tmp_path / "own")})
    places = [line for line in said.out.splitlines() if "(llm." in line]
    assert places
    assert all("own/rolecall/config.json" in line for line in places), said.out
    assert re.search(r"mkdir -p \S+/own/rolecall && cp -n \S+/config.json \S+/own/rolecall/config.json", said.out)
