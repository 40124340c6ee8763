"""A coder that asks other models: each of its tools is served by the role that the configuration names."""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from core.config.settings import Settings
from core.storage.database import database_of
from graph.store.thread_store import ThreadStore
from nodes.model_calls.consult_tools import RESEARCH_CALLS, role_of
from tests.integration.jobs import SLUGIFY, SLUGS, Heard, do, go_on, openai
from tests.modelserver.competent import CompetentScript
from tests.modelserver.reply import Reply, call, say
from tests.modelserver.request import ModelRequest
from tests.modelserver.server import ModelServer
from tests.repositories import make_repository

FEATURE = "Add a function slugify with tests"
CONSULTING = {"ask", "explain_code", "deep_research"}
COMPETENT = CompetentScript(files=SLUGIFY)


class Coder:
    """Works like the competent model, but first makes one call of its own."""

    def __init__(self, name: str, **arguments: Any) -> None:
        self._call = call(name, **arguments)
        self._name = name
        self.before: Callable[[], None] = lambda: None
        """Done before its call."""
        self.told: list[str] = []
        """What its call brought."""
        self.offered: set[str] = set()

    def __call__(self, request: ModelRequest) -> Reply:
        if "write_file" not in request.tool_names:
            return COMPETENT(request)
        self.offered |= CONSULTING & set(request.tool_names)
        made = [one for one in request.calls if one.name == self._name]
        if not made:
            self.before()
            return self._call
        self.told.append(request.result_of(made[0]) or "")
        return COMPETENT(request)


def settings_for(coder: ModelServer, tools: dict[str, Any], **roles: Any) -> Settings:
    llm = {"primary": openai(coder.v1), **roles}
    return Settings.model_validate({"llm": llm, "tools": tools, "sandbox": {"mode": "host"}})


@pytest.mark.parametrize(
    ("tool", "arguments", "shown"),
    [
        ("ask", {"question": "Is there a convention?", "files": ["slugs/text.py"]}, "Is there a convention?"),
        ("explain_code", {"path": "slugs/text.py", "question": "What does it return?"}, "What does it return?"),
    ],
)
async def test_a_question_goes_to_the_role_of_the_tool(
    tmp_path: Path, tool: str, arguments: dict[str, Any], shown: str
) -> None:
    coder, heard = Coder(tool, **arguments), Heard()
    with ModelServer(coder) as working, ModelServer(lambda _: say("It shouts, by convention.")) as teaching:
        settings = settings_for(working, {tool: {"role": "teacher"}}, teacher=openai(teaching.v1, model="large"))
        outcome = await do(make_repository(tmp_path / "repo", SLUGS), FEATURE, settings, heard=heard)
        (asked,) = teaching.requests
    assert outcome.exit_code == 0
    assert shown in asked.prompt
    assert "return text.upper()" in asked.prompt
    assert asked.tools == ()
    assert coder.told[0] == "It shouts, by convention."
    assert coder.offered == {tool}
    assert [one["tool"] for one in heard.named("tool_finished")].count(tool) == 1


async def test_research_reads_with_the_model_of_its_role(tmp_path: Path) -> None:
    def researcher(request: ModelRequest) -> Reply:
        seen = request.last.role == "tool"
        return say("slugs/text.py:2 shouts.") if seen else call("search_text", pattern="upper")

    coder = Coder("deep_research", question="Who shouts?")
    with ModelServer(coder) as working, ModelServer(researcher) as reading:
        research = openai(reading.v1, model="large")
        settings = settings_for(working, {"deep_research": {"role": "research"}}, research=research)
        outcome = await do(make_repository(tmp_path / "repo", SLUGS), FEATURE, settings)
        assert coder.told[0] == "slugs/text.py:2 shouts."
        first, second = reading.requests
    assert outcome.exit_code == 0
    assert set(first.tool_names) == {"list_files", "read_file", "search_text", "git_diff"}
    assert "slugs/text.py" in second.last.text
    assert coder.told[0] == "slugs/text.py:2 shouts."


async def test_research_without_an_end_says_what_it_has_found(tmp_path: Path) -> None:
    def restless(request: ModelRequest) -> Reply:
        if request.tools:
            made = call("read_file", path="slugs/text.py", start=1 + len(request.calls) % 2)
            return made.but(text=f"note {len(request.calls)}")
        return say(f"So far: {'note 7' in request.prompt}")

    coder = Coder("deep_research", question="Who shouts?")
    with ModelServer(coder) as working, ModelServer(restless) as reading:
        settings = settings_for(working, {"deep_research": {"role": "research"}}, research=openai(reading.v1))
        outcome = await do(make_repository(tmp_path / "repo", SLUGS), FEATURE, settings)
        assert len(reading.requests) == RESEARCH_CALLS + 1
    assert outcome.exit_code == 0
    assert coder.told[0] == "So far: True"


@pytest.mark.parametrize(
    ("tools", "teacher"),
    [
        ({}, openai),
        ({"ask": {"role": "teacher"}}, lambda url: openai(url, enabled=False)),
        ({"ask": {"role": "teacher"}}, lambda url: {"provider": "embedded"}),
    ],
    ids=["not configured", "disabled", "without weights"],
)
async def test_a_tool_nobody_serves_is_not_offered(
    tmp_path: Path, tools: dict[str, Any], teacher: Callable[[str], dict[str, Any]]
) -> None:
    coder = Coder("list_files")
    with ModelServer(coder) as working:
        roles = {"teacher": teacher(working.v1)} if tools else {}
        outcome = await do(make_repository(tmp_path / "repo", SLUGS), FEATURE, settings_for(working, tools, **roles))
    assert outcome.exit_code == 0
    assert coder.offered == set()


async def test_a_coder_goes_on_when_the_asked_model_is_away(tmp_path: Path) -> None:
    coder = Coder("ask", question="Is there a convention?")
    with ModelServer(coder) as working, ModelServer(lambda _: say("")) as teaching:
        settings = settings_for(working, {"ask": {"role": "teacher"}}, teacher=openai(teaching.v1, model="away"))
        coder.before = teaching.stop
        outcome = await do(make_repository(tmp_path / "repo", SLUGS), FEATURE, settings)
    assert outcome.exit_code == 0
    assert "no model can serve the role 'teacher'" in coder.told[0]


async def test_a_budget_used_up_by_a_question_stops_the_run_and_more_lets_it_go_on(tmp_path: Path) -> None:
    repo, coder = make_repository(tmp_path / "repo", SLUGS), Coder("ask", question="Is there a convention?")
    with ModelServer(coder) as working, ModelServer(lambda _: say("Yes.")) as teaching:
        settings = settings_for(working, {"ask": {"role": "teacher"}}, teacher=openai(teaching.v1, model="large"))
        tight = settings.model_copy(update={"budget": settings.budget.model_copy(update={"max_model_calls": 4})})
        stopped = await do(repo, FEATURE, tight)
        assert (stopped.status, stopped.exit_code) == ("budget", 5)
        assert teaching.requests == []
        outcome = await go_on(repo, stopped.thread_id, settings)
        assert len(teaching.requests) == 1
    assert outcome.exit_code == 0
    assert coder.told[0] == "Yes."


async def test_a_research_cut_short_goes_on_where_it_was(tmp_path: Path) -> None:
    repo, reached = make_repository(tmp_path / "repo", SLUGS), threading.Event()

    def researcher(request: ModelRequest) -> Reply:
        if not request.calls:
            return call("search_text", pattern="upper")
        if not reached.is_set():
            reached.set()
            time.sleep(1)
        return say("slugs/text.py:2 shouts.")

    coder = Coder("deep_research", question="Who shouts?")
    with ModelServer(coder) as working, ModelServer(researcher) as reading:
        settings = settings_for(working, {"deep_research": {"role": "research"}}, research=openai(reading.v1))
        running = asyncio.ensure_future(do(repo, FEATURE, settings))
        await asyncio.to_thread(reached.wait, 60)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        (thread,) = await ThreadStore(database_of(repo)).list()
        outcome = await go_on(repo, thread.thread_id, settings)
        steps = [len(request.calls) for request in reading.requests]
    assert outcome.exit_code == 0
    assert coder.told[0] == "slugs/text.py:2 shouts."
    # The call in flight is made again, the search is not.
    assert steps == [0, 1, 1]


def test_who_answers_is_configured_or_usual() -> None:
    settings = Settings.model_validate({"tools": {"ask": {"role": "summarizer"}, "explain_code": {}}})
    roles = [role_of(settings, tool) for tool in ("ask", "explain_code", "deep_research")]
    assert roles == ["summarizer", "primary", "research"]


async def test_a_tool_that_is_turned_off_is_not_offered(tmp_path: Path) -> None:
    coder = Coder("list_files")
    with ModelServer(coder) as working, ModelServer(lambda _: say("Yes.")) as teaching:
        tools = {"ask": {"role": "teacher", "enabled": False}, "explain_code": {"role": "teacher"}}
        settings = settings_for(working, tools, teacher=openai(teaching.v1, model="large"))
        await do(make_repository(tmp_path / "repo", SLUGS), FEATURE, settings)
    assert coder.offered == {"explain_code"}
