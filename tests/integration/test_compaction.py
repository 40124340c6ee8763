"""A coding loop that outgrows the window of its model."""

import sqlite3
from contextlib import closing
from pathlib import Path

from core.storage.database import database_of
from tests.integration.jobs import SLUGIFY, SLUGS, Heard, do, openai, settings_with
from tests.modelserver.competent import COMPACT_MARK, CompetentScript
from tests.modelserver.reply import Reply, call
from tests.modelserver.request import ModelRequest
from tests.modelserver.server import ModelServer
from tests.repositories import make_repository

FEATURE = "Add a function slugify with tests"
READS = 12


async def test_older_messages_are_summarized_and_the_task_never_is(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", {**SLUGS, "long.txt": "some words here\n" * 200})
    competent = CompetentScript(files=SLUGIFY)
    loop: list[ModelRequest] = []
    compacted: list[ModelRequest] = []

    def reader(request: ModelRequest) -> Reply:
        """Reads a long file again and again before it does its work."""
        if COMPACT_MARK in request.prompt and not request.tools:
            compacted.append(request)
        if "write_file" not in request.tool_names:
            return competent(request)
        loop.append(request)
        if len(loop) <= READS:
            return call("read_file", path="long.txt", start=len(loop))
        return competent(request)

    heard = Heard()
    with ModelServer(reader) as server:
        outcome = await do(repo, FEATURE, settings_with(openai(server.v1, context_length=8000)), heard=heard)
    assert outcome.exit_code == 0, outcome.message
    assert compacted
    assert len(loop) > READS
    assert all(FEATURE in request.system for request in loop)
    assert all("Acceptance criteria" in request.system for request in loop)
    assert max(len(request.prompt) for request in loop) < 8000 * 4
    assert not heard.named("model_fallback")
    with closing(sqlite3.connect(database_of(repo).path)) as db:
        asked = db.execute("SELECT DISTINCT node, role FROM calls WHERE purpose = 'compact'").fetchall()
    assert asked == [("implement", "summarizer")]


async def test_what_cannot_be_made_short_enough_is_summarized_once_a_call(tmp_path: Path) -> None:
    """One result of a tool is more than the transcript may have: the loop must go on nevertheless."""
    repo = make_repository(tmp_path / "repo", {**SLUGS, "long.txt": "some words here\n" * 200})
    competent = CompetentScript(files=SLUGIFY)
    loop: list[ModelRequest] = []

    def reader(request: ModelRequest) -> Reply:
        if "write_file" not in request.tool_names:
            return competent(request)
        loop.append(request)
        return call("read_file", path="long.txt", start=len(loop)) if len(loop) < 3 else competent(request)

    with ModelServer(reader) as server:
        outcome = await do(repo, FEATURE, settings_with(openai(server.v1, context_length=4000)))
        compacted = sum(COMPACT_MARK in request.prompt and not request.tools for request in server.requests)
    assert outcome.exit_code == 0, outcome.message
    assert 0 < compacted <= len(loop)
