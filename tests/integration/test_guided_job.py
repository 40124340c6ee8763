"""People steer and answer a run of the whole graph."""

import asyncio
import sqlite3
import time
from pathlib import Path

import pytest

from core.context import RunOptions
from core.events import Event
from core.storage.database import database_of
from graph.drive.thread_run import UserQuestion
from graph.store.inbox import SqliteInbox
from tests.integration.jobs import SLUGIFY, SLUGS, Heard, do, go_on, openai, read, settings_with, state_of
from tests.modelserver.competent import CompetentScript, Step
from tests.modelserver.reply import Reply, call, give, say
from tests.modelserver.request import ModelRequest
from tests.modelserver.server import ModelServer
from tests.repositories import git, make_repository

FEATURE = "Add a function slugify with tests"


def two_steps() -> CompetentScript:
    return CompetentScript(steps=[Step(title=f"Write {name}", files={name: SLUGIFY[name]}) for name in SLUGIFY])


def wants_a_command(request: ModelRequest) -> Reply:
    """A competent model that first runs a command outside the allow-list."""
    if "run_command" in request.tool_names and request.last.role == "user":
        return call("run_command", command="touch allowed.txt")
    return CompetentScript(files=SLUGIFY)(request) if request.last.role != "tool" else finish(request)


def finish(request: ModelRequest) -> Reply:
    return say("The command was not allowed." if "did not allow" in request.last.text else "The file is there.")


async def test_guidance_is_in_the_next_model_call_and_once_in_state(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    script = two_steps()
    asked: list[str] = []

    def noting(request: ModelRequest) -> Reply:
        asked.append(request.prompt)
        return script(request)

    with ModelServer(noting) as server:
        settings = settings_with(openai(server.v1), budget={"max_model_calls": 3})
        stopped = await do(repo, FEATURE, settings)
        inbox = SqliteInbox(database_of(repo), stopped.thread_id)
        await inbox.put(stopped.thread_id, kind="guidance", author="user", text="Keep it ASCII.")
        before = len(asked)
        outcome = await go_on(repo, stopped.thread_id, settings_with(openai(server.v1)))
    assert outcome.exit_code == 0
    assert "Keep it ASCII." in asked[before]
    state = await state_of(repo, outcome.thread_id)
    said = [(item.text, item.node) for item in state["guidance"] if item.author == "user"]
    assert said == [("Keep it ASCII.", "implement")]


async def test_a_wish_for_another_order_is_followed_for_steps_to_come(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    names = [*SLUGIFY, "slugs/more.py"]
    contents = {**SLUGIFY, "slugs/more.py": "MORE = 1\n"}
    script = CompetentScript(steps=[Step(title=f"Write {name}", files={name: contents[name]}) for name in names])
    with ModelServer(script) as server:
        spec = openai(server.v1)
        stopped = await do(repo, FEATURE, settings_with(spec, budget={"max_model_calls": 3}))
        inbox = SqliteInbox(database_of(repo), stopped.thread_id)
        order = {"steps": ["s3"]}
        await inbox.put(stopped.thread_id, kind="prioritize", author="user", text="s3 first", payload=order)
        outcome = await go_on(repo, stopped.thread_id, settings_with(spec))
    assert outcome.exit_code == 0
    subjects = git(repo, "log", "--reverse", "--format=%s", f"HEAD..{outcome.branch}").splitlines()
    assert subjects == [f"Write {names[0]}", f"Write {names[2]}", f"Write {names[1]}"]


async def test_a_wish_for_a_new_plan_leads_back_to_planning(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    heard = Heard()
    with ModelServer(two_steps()) as server:
        spec = openai(server.v1)
        stopped = await do(repo, FEATURE, settings_with(spec, budget={"max_model_calls": 3}))
        inbox = SqliteInbox(database_of(repo), stopped.thread_id)
        await inbox.put(stopped.thread_id, kind="replan", author="user", text="Start with the tests.")
        outcome = await go_on(repo, stopped.thread_id, settings_with(spec), heard=heard)
    assert outcome.exit_code == 0
    assert "plan" in [event["node"] for event in heard.named("node_started")]
    assert (await state_of(repo, outcome.thread_id))["replans"] == 1


async def test_a_message_that_comes_too_late_is_named_not_lost(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    threads: list[str] = []

    def late(event: Event) -> None:
        threads.append(event.thread)

    def writing_the_report(request: ModelRequest) -> Reply:
        if request.title == "ReportNarrative":
            put_now(repo, threads[0])
        return CompetentScript(files=SLUGIFY)(request)

    with ModelServer(writing_the_report) as server:
        outcome = await do(repo, FEATURE, settings_with(openai(server.v1)), heard=late)  # type: ignore[arg-type]
    assert outcome.exit_code == 0
    assert "1 message came too late" in outcome.message
    # Whoever words the report can follow nothing, so it is not shown there and then called heard.
    assert not (await state_of(repo, outcome.thread_id)).get("guidance")
    assert "Too late. - not delivered" in await read(outcome.report_path)


async def test_what_is_said_while_the_last_step_is_judged_opens_the_work_again(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    threads: list[str] = []
    told: list[str] = []
    put: list[bool] = []
    script = CompetentScript(files=SLUGIFY)

    def heard(event: Event) -> None:
        threads.append(event.thread)

    def judging(request: ModelRequest) -> Reply:
        if request.title == "QAVerdict" and not put:
            put.append(True)
            put_now(repo, threads[0], "Mention it in the README.")
        if "edit_file" in request.tool_names:
            told.append(request.prompt)
        return script(request)

    with ModelServer(judging) as server:
        outcome = await do(repo, FEATURE, settings_with(openai(server.v1)), heard=heard)  # type: ignore[arg-type]
    state = await state_of(repo, outcome.thread_id)
    assert [(item.text, item.node) for item in state["guidance"]] == [("Mention it in the README.", "assess")]
    assert outcome.exit_code == 0
    assert len(state["step_results"]) == 2
    assert "Mention it in the README." not in told[0]
    assert "Mention it in the README." in told[-1]


def put_now(repo: Path, thread: str, text: str = "Too late.") -> None:
    """From the server's own thread, as another process would."""
    with sqlite3.connect(database_of(repo).path, timeout=30) as db:
        row = (thread, "guidance", "user", text, "{}", time.time())
        db.execute("INSERT INTO inbox(thread_id, kind, author, text, payload, created) VALUES(?, ?, ?, ?, ?, ?)", row)


async def test_a_command_outside_the_allow_list_waits_and_is_answered_later(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    with ModelServer(wants_a_command) as server:
        settings = settings_with(openai(server.v1), budget={"max_attempts": 1, "max_replans": 0})
        stopped = await do(repo, FEATURE, settings, options=RunOptions())
        assert (stopped.status, stopped.exit_code) == ("waiting", 1)
        assert "touch allowed.txt" in stopped.message
        allowed = await go_on(repo, stopped.thread_id, settings, options=RunOptions(approve_all=True))
    assert git(repo, "ls-tree", "--name-only", allowed.branch, "allowed.txt") == "allowed.txt"


async def test_a_person_says_no_and_the_command_does_not_run(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    asked: list[UserQuestion] = []

    async def refuse(question: UserQuestion) -> str:
        asked.append(question)
        return "no"

    with ModelServer(wants_a_command) as server:
        settings = settings_with(openai(server.v1), budget={"max_attempts": 1, "max_replans": 0})
        outcome = await do(repo, FEATURE, settings, ask=refuse, options=RunOptions(interactive=True))
    assert [question.kind for question in asked] == ["approval"]
    state = await state_of(repo, outcome.thread_id)
    assert state["step_results"][0].text == "The command was not allowed."
    assert git(repo, "ls-tree", "--name-only", outcome.branch, "allowed.txt") == ""


async def test_a_question_of_an_attended_run_does_not_hold_up_one_that_is_resumed_unattended(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    competent = CompetentScript(files=SLUGIFY)
    scope = {"goal": "slugs", "acceptance_criteria": ["there are slugs"], "questions": ["Which separator?"]}

    def unsure(request: ModelRequest) -> Reply:
        return give(scope) if request.title == "Scope" else competent(request)

    with ModelServer(unsure) as server:
        settings = settings_with(openai(server.v1))
        waiting = await do(repo, FEATURE, settings, options=RunOptions(interactive=True))
        outcome = await go_on(repo, waiting.thread_id, settings)
    assert (waiting.status, outcome.status, outcome.exit_code) == ("waiting", "done", 0)
    constraints = (await state_of(repo, outcome.thread_id))["scope"].constraints
    assert "Which separator?" in constraints[-1]
    assert "No user is available to answer" in constraints[-1]


async def test_a_pause_during_the_set_up_is_obeyed_and_shows_no_report_of_an_earlier_stop(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    orders: list[asyncio.Task[int]] = []

    class Hasty(Heard):
        """Asks for a pause before the graph runs."""

        def __call__(self, event: Event) -> None:
            super().__call__(event)
            if event.event == "roles":
                inbox = SqliteInbox(database_of(repo), event.thread)
                orders.append(asyncio.ensure_future(inbox.put(event.thread, kind="pause", author="user", text="")))

    with ModelServer(CompetentScript(files=SLUGIFY)) as server:
        stopped = await do(repo, FEATURE, settings_with(openai(server.v1), budget={"max_model_calls": 2}))
        paused = await go_on(repo, stopped.thread_id, settings_with(openai(server.v1)), heard=Hasty())
        outcome = await go_on(repo, stopped.thread_id, settings_with(openai(server.v1)))
    assert (stopped.status, bool(stopped.report_path)) == ("budget", True)
    assert (paused.status, paused.exit_code, paused.report_path, paused.diff_path) == ("paused", 130, "", "")
    assert (outcome.status, bool(outcome.report_path)) == ("done", True)


@pytest.mark.parametrize("mode", ["host", "bubblewrap"])
async def test_checks_of_the_repository_without_walls_are_told_of_first(tmp_path: Path, mode: str) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    heard = Heard()
    with ModelServer(wants_a_command) as server:
        settings = settings_with(openai(server.v1), sandbox={"mode": mode}, budget={"max_attempts": 1})
        await do(repo, FEATURE, settings, heard=heard, options=RunOptions())
    told = [event.event for event in heard.events if "no sandbox here" in str(event.data)]
    assert told == (["warning"] if mode == "host" else [])
    names = [event.event for event in heard.events]
    assert "check_finished" not in names[: names.index("warning") if told else 0]
