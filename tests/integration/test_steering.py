"""Steering the real graph while it runs: people, programs and the supervisor, through the inbox only."""

import asyncio
from pathlib import Path
from typing import Any

from core.config.settings import Settings
from core.storage.database import database_of
from graph.runner import open_graph
from graph.store.inbox import SqliteInbox
from graph.store.receipts import read_receipts
from graph.supervisor.escalation import Intervention
from graph.supervisor.intervention_log import InterventionLog
from graph.supervisor.interventions import Supervisor
from graph.supervisor.snapshot import take_snapshot
from rolecall.output.run_view import RunView
from tests.integration.jobs import SLUGIFY, SLUGS, Heard, do, go_on, openai, read, settings_with, state_of
from tests.modelserver.competent import CompetentScript, Step
from tests.modelserver.reply import Reply, call
from tests.modelserver.request import ModelRequest
from tests.modelserver.server import ModelServer
from tests.repositories import make_repository
from tests.steering import world
from tests.steering.models import nobody

FEATURE = "Add a function slugify with tests"
NAMES = list(SLUGIFY)
TWO_STEPS = [Step(title=f"Write {name}", files={name: SLUGIFY[name]}) for name in NAMES]


def guided(request: ModelRequest) -> int:
    """How many guidances the last messages of a request hold."""
    return sum("<guidance " in message.text for message in request.messages if message.role == "user")


def in_loop(request: ModelRequest) -> bool:
    return "write_file" in request.tool_names


def sound(request: ModelRequest) -> bool:
    """Every call has its result before anything else is said."""
    waiting: list[str] = []
    for message in request.messages:
        if message.role == "tool":
            if message.tool_call_id not in waiting:
                return False
            waiting.remove(message.tool_call_id)
        elif waiting:
            return False
        waiting += [made.id for made in message.tool_calls]
    return not waiting


class Steered:
    """A run, and the inbox of its thread as another process would see it."""

    def __init__(self, repo: Path, settings: Settings) -> None:
        self.repo, self.settings, self.heard = repo, settings, Heard()
        self.run = asyncio.create_task(do(repo, FEATURE, settings, heard=self.heard))

    async def until(self, event: str, **fields: Any) -> None:
        while not any(fields.items() <= data.items() for data in self.heard.named(event)):
            assert not self.run.done(), self.run
            await asyncio.sleep(0.02)

    @property
    def thread(self) -> str:
        return self.heard.events[0].thread

    @property
    def inbox(self) -> SqliteInbox:
        return SqliteInbox(database_of(self.repo), self.thread)

    async def say(self, kind: str, text: str = "", **payload: Any) -> int:
        return await self.inbox.put(self.thread, kind=kind, author="user", text=text, payload=payload)


async def test_a_word_to_a_running_coder_is_in_its_next_call_and_on_record(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    competent = CompetentScript(files=SLUGIFY, pace=0.01)
    with ModelServer(competent) as server:
        steered = Steered(repo, settings_with(openai(server.v1)))
        await steered.until("node_started", node="implement")
        ident = await steered.say("guidance", "Keep the public API.")
        outcome = await steered.run
        told = [guided(request) for request in server.requests if in_loop(request)]
        assert all(sound(request) for request in server.requests)

    assert outcome.status == "done"
    assert max(told) == 1
    assert told[-1] == 1  # it stays in the transcript
    state = await state_of(repo, outcome.thread_id)
    assert [(item.id, item.node) for item in state["guidance"]] == [(ident, "implement")]
    async with open_graph(steered.settings, database_of(repo)) as graph:
        [receipt] = await read_receipts(graph, outcome.thread_id, await steered.inbox.after(0))
    assert (receipt.status, receipt.node) == ("seen", "implement")
    assert receipt.checkpoint
    assert "- user, guidance: Keep the public API. - reached `implement`\n" in await read(outcome.report_path)


async def test_a_paused_run_goes_on_where_it_was(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    with ModelServer(CompetentScript(files=SLUGIFY, pace=0.01)) as server:
        steered = Steered(repo, settings_with(openai(server.v1)))
        await steered.until("tool_started", tool="write_file")
        await steered.say("pause", "lunch")
        stopped = await steered.run
        assert (stopped.status, stopped.exit_code) == ("paused", 130)
        assert "lunch" in stopped.message
        assert "resume" in stopped.hint
        heard, view = Heard(), RunView()
        outcome = await go_on(repo, stopped.thread_id, steered.settings, heard=heard)
        assert all(sound(request) for request in server.requests)
    assert outcome.status == "done"
    lines: list[str] = []
    for event in heard.events:
        lines += [line] if (line := view.apply(event)) else []
        if event.event == "run_started":
            assert view.spent.split(",")[0] == f"{sum(one.calls for one in stopped.usage.values())} calls"
    [title] = [step["title"] for step in steered.heard.named("plan")[0]["steps"]]
    assert f"implement  {title}" in lines
    assert view.progress == f"step 1/1 {title}"
    assert view.calls == sum(one.calls for one in outcome.usage.values())


async def test_steps_change_places_while_the_first_is_worked_on(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    extra = {"docs/slugs.md": "# Slugs\n"}
    steps = [*TWO_STEPS, Step(title="Write docs", files=extra)]
    with ModelServer(CompetentScript(steps=steps, pace=0.01)) as server:
        steered = Steered(repo, settings_with(openai(server.v1)))
        await steered.until("node_started", node="implement")
        await steered.say("prioritize", "docs first", steps=["s3"])
        await steered.say("prioritize", "and that again", steps=["s1"])
        outcome = await steered.run
    state = await state_of(repo, outcome.thread_id)
    assert [result.step_id for result in state["step_results"]] == ["s1", "s3", "s2"]
    assert any("s1 is already done" in event["message"] for event in steered.heard.named("warning"))
    report = await read(outcome.report_path)
    assert "- user, prioritize: docs first - reached `implement`\n" in report
    assert "- user, prioritize: and that again - reached `implement`, not followed: step s1 is already done\n" in report


async def test_what_the_supervisor_suggested_in_vain_is_on_record_as_refused(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    settings = settings_with(openai(""), supervisor={"enabled": False})
    with ModelServer(CompetentScript(steps=TWO_STEPS, pace=0.01)) as server:
        steered = Steered(repo, settings_with(openai(server.v1), supervisor={"enabled": False}))
        await steered.until("node_started", node="implement")
        row = await steered.inbox.put(
            steered.thread, kind="prioritize", author="supervisor", text="s9 first", payload={"steps": ["s9"]}
        )
        log = InterventionLog(database_of(repo), steered.thread)
        await log.add(
            Intervention("milestone", "a step ended", "reprioritize", "s9 first", True, "s1", 0, inbox_id=row)
        )
        outcome = await steered.run
    report = await read(outcome.report_path)
    assert "- reprioritize (rule milestone, a step ended): s9 first - reached `implement`, not followed: " in report
    supervisor = Supervisor(
        outcome.thread_id, database_of(repo), models=nobody(), settings=settings, events=world.Heard()
    )
    await supervisor.load()
    await supervisor.finish(take_snapshot(await state_of(repo, outcome.thread_id), {}, node=""))
    assert [entry.outcome for entry in await log.all()] == ["refused: the plan has no step s9"]


async def test_who_asks_for_another_plan_gets_one(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    with ModelServer(CompetentScript(steps=TWO_STEPS, pace=0.01)) as server:
        steered = Steered(repo, settings_with(openai(server.v1)))
        await steered.until("node_started", node="implement")
        await steered.say("replan", "one step is enough")
        outcome = await steered.run
        plans = [request for request in server.requests if request.title == "Plan"]
    assert outcome.status == "done"
    assert len(plans) == 2
    assert "one step is enough" in plans[1].prompt


async def test_the_supervisor_breaks_a_loop_of_the_coder(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    competent = CompetentScript(files=SLUGIFY)

    def stuck(request: ModelRequest) -> Reply:
        """Reads one file for ever, until somebody says so."""
        if not in_loop(request) or guided(request):
            return competent(request)
        return call("read_file", path="slugs/text.py").but(pace=0.1)

    quick = {"poll_s": 0.05, "max_load": 1.0}
    with ModelServer(stuck) as server:
        outcome = await do(repo, FEATURE, settings_with(openai(server.v1), supervisor=quick))
        assert all(sound(request) for request in server.requests)
    assert outcome.status == "done"
    [first, *_] = await InterventionLog(database_of(repo), outcome.thread_id).all()
    assert (first.rule, first.action, first.applied) == ("repeated_call", "nudge", True)
    assert first.outcome == "unchanged"
    report = await read(outcome.report_path)
    [told] = [line for line in report.splitlines() if line.startswith("- nudge (rule repeated_call, ")]
    assert told.endswith("- the checks that followed were green, as before")
    state = await state_of(repo, outcome.thread_id)
    assert [item.author for item in state["guidance"]] == ["supervisor"]


async def test_a_supervisor_that_may_only_observe_does_not_interfere(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    competent = CompetentScript(files=SLUGIFY)

    def slow(request: ModelRequest) -> Reply:
        reads = sum(message.role == "tool" for message in request.messages)
        if in_loop(request) and reads < 8 and "slugs/slugify.py" not in str(request.messages[-1].text):
            return call("read_file", path="slugs/text.py").but(pace=0.1)
        return competent(request)

    quick = {"poll_s": 0.05, "max_load": 1.0, "policy": "observe"}
    with ModelServer(slow) as server:
        outcome = await do(repo, FEATURE, settings_with(openai(server.v1), supervisor=quick))
    entries = await InterventionLog(database_of(repo), outcome.thread_id).all()
    assert entries
    assert not any(item.applied for item in entries)
    assert (await state_of(repo, outcome.thread_id)).get("guidance", ()) == ()
