"""The trace of a run, read as a person would read it: with SQL, out of the repository's database."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from core.storage.database import database_of
from tests.integration.jobs import SLUGIFY, SLUGS, do, go_on, openai, settings_with
from tests.modelserver.competent import CompetentScript
from tests.modelserver.reply import Reply, say
from tests.modelserver.request import ModelRequest
from tests.modelserver.server import ModelServer
from tests.repositories import make_repository

FEATURE = "Add a function slugify with tests"


def rows(repo: Path, table: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(database_of(repo).path)) as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute(f"SELECT * FROM {table} ORDER BY rowid")]


def talkative(competent: CompetentScript) -> Any:
    """A coder whose last words are too long for the state."""

    def answer(request: ModelRequest) -> Reply:
        reply = competent(request)
        return say("It is done. " * 400) if "write_file" in request.tool_names and not reply.tool_calls else reply

    return answer


async def test_a_run_is_one_trace_with_a_span_for_each_node_and_call(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    with ModelServer(talkative(CompetentScript(files=SLUGIFY))) as server:
        outcome = await do(repo, FEATURE, settings_with(openai(server.v1), supervisor={"enabled": False}))
    assert outcome.exit_code == 0, outcome.message
    spans, calls = rows(repo, "spans"), rows(repo, "calls")
    assert len({row["trace_id"] for row in [*spans, *calls]}) == 1
    assert {row["thread"] for row in spans} == {outcome.thread_id}
    (root,) = [row for row in spans if row["kind"] == "run"]
    nodes = {row["span_id"]: row for row in spans if row["kind"] == "node"}
    assert [row["name"] for row in nodes.values()] == [
        "route", "scope", "plan", "implement", "summarize", "qa", "assess", "report",
    ]  # fmt: skip
    assert {row["parent_id"] for row in nodes.values()} == {root["span_id"]}
    assert {row["outcome"] for row in spans} == {"ok"}
    assert all(row["began"] <= row["ended"] <= root["ended"] for row in spans)
    # Each call lies below the node it names, the one that shortened the coder's words too.
    assert [nodes[row["parent_id"]]["name"] for row in calls] == [row["node"] for row in calls]
    assert len({row["span_id"] for row in calls}) == len(calls)
    assert [row["node"] for row in calls if row["purpose"] == "normalize"] == ["implement"]
    (decision,) = [row for row in spans if row["kind"] == "decision"]
    assert (decision["name"], nodes[decision["parent_id"]]["name"]) == ("routing", "route")
    assert json.loads(decision["attributes"])["routing_decision"] == "DELEGATE"


async def test_each_run_of_a_thread_has_a_trace_of_its_own_and_says_how_it_ended(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    with ModelServer(CompetentScript(files=SLUGIFY)) as server:
        few = settings_with(openai(server.v1), budget={"max_model_calls": 2}, supervisor={"enabled": False})
        stopped = await do(repo, FEATURE, few)
        assert stopped.exit_code == 5
        await go_on(repo, stopped.thread_id, settings_with(openai(server.v1)))
    spans = rows(repo, "spans")
    runs = [row for row in spans if row["kind"] == "run"]
    assert len({row["trace_id"] for row in runs}) == len(runs) == 2
    broken = [row for row in spans if row["kind"] == "node" and row["outcome"] != "ok"]
    assert [(row["trace_id"], row["outcome"]) for row in broken] == [(runs[0]["trace_id"], "BudgetError")]


async def test_calls_of_an_older_version_get_the_new_columns(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    stopped = await do(repo, FEATURE)
    with closing(sqlite3.connect(database_of(repo).path)) as db:
        for column in ("span_id", "parent_id"):
            db.execute(f"ALTER TABLE calls DROP COLUMN {column}")
        db.execute("PRAGMA user_version=1")
        db.commit()
    with ModelServer(CompetentScript(files=SLUGIFY)) as server:
        outcome = await go_on(repo, stopped.thread_id, settings_with(openai(server.v1)))
    assert outcome.exit_code == 0
    assert [row for row in rows(repo, "calls") if row["spec"] == "primary:scripted" and not row["parent_id"]] == []
