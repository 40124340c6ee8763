"""How long a visit of the coding loop may be, and what it leaves behind with each step."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from langgraph.pregel._loop import AsyncPregelLoop

from core.storage.database import database_of
from tests.integration.jobs import SLUGIFY, SLUGS, do, openai, settings_with, state_of
from tests.modelserver.competent import CompetentScript
from tests.modelserver.reply import Reply, call
from tests.modelserver.request import ModelRequest
from tests.modelserver.script import Script
from tests.modelserver.server import ModelServer
from tests.repositories import make_repository

FEATURE = "Add a function slugify with tests"


def reader(times: int) -> Script:
    """A coder that reads a file so many times before it does its work."""
    competent = CompetentScript(files=SLUGIFY)

    def answer(request: ModelRequest) -> Reply:
        number = len(request.tool_results)
        if "write_file" in request.tool_names and number < times:
            return call("read_file", path="slugs/text.py", start=1, end=2 + number)
        return competent(request)

    return answer


async def test_a_step_of_the_loop_leaves_two_checkpoints(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    with ModelServer(reader(9)) as server:
        outcome = await do(repo, FEATURE, settings_with(openai(server.v1)))
        calls = sum("write_file" in request.tool_names for request in server.requests)
    assert outcome.exit_code == 0, outcome.message
    assert calls > 9
    with closing(sqlite3.connect(database_of(repo).path)) as db:
        (rows,) = db.execute("SELECT count(*) FROM checkpoints WHERE checkpoint_ns LIKE 'implement:%'").fetchone()
    # The input and its start, then the answer of each call, and between two of them the result of a tool.
    assert rows == 2 + calls + calls - 1


async def test_a_visit_ends_at_our_limit_and_never_at_that_of_the_graph_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[int] = []
    enter = AsyncPregelLoop.__aenter__

    async def entered(loop: Any) -> Any:
        limits.append(loop.config["recursion_limit"])
        return await enter(loop)

    monkeypatch.setattr(AsyncPregelLoop, "__aenter__", entered)
    repo = make_repository(tmp_path / "repo", SLUGS)
    budget = {"max_loop_calls": 3, "max_attempts": 1}
    with ModelServer(reader(1000)) as server:
        outcome = await do(repo, FEATURE, settings_with(openai(server.v1), budget=budget))
        calls = sum("write_file" in request.tool_names for request in server.requests)
    assert (outcome.exit_code, calls) == (1, 3)
    (result,) = (await state_of(repo, outcome.thread_id))["step_results"]
    assert result.text == "Stopped after 3 model calls, the limit of one visit."
    assert len(limits) >= 2
    assert min(limits) >= 1_000_000
