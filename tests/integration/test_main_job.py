import shutil
from pathlib import Path

import pytest

from core.config.settings import Settings
from core.errors import ConfigError
from core.storage.database import database_of
from graph.store.thread_store import ThreadStore
from tests.integration.jobs import (
    SLUGIFY,
    SLUGS,
    Heard,
    do,
    go_on,
    ollama,
    openai,
    read,
    red_repository,
    report_of,
    settings_with,
    state_of,
)
from tests.modelserver.competent import CompetentScript, Step
from tests.modelserver.faults import Fault
from tests.modelserver.info import Shape
from tests.modelserver.process import ModelServerProcess
from tests.modelserver.reply import Reply, call, fail, give, say
from tests.modelserver.request import ModelRequest
from tests.modelserver.server import ModelServer, closed_port
from tests.repositories import fingerprint, git, make_repository, write

FEATURE = "Add a function slugify with tests"


async def test_a_red_repository_ends_green_on_a_branch_without_any_model(tmp_path: Path) -> None:
    repo = red_repository(tmp_path / "repo")
    before = fingerprint(repo)
    outcome = await do(repo, "Make the failing tests pass")
    assert (outcome.status, outcome.exit_code) == ("done", 0)
    assert fingerprint(repo) == before
    changed = git(repo, "diff", "--name-only", "HEAD", outcome.branch)
    assert changed == "inventory/items.py"
    assert "embedded engine (no LLM) served: coder, primary" in await read(outcome.report_path)
    assert "reorder_at" in await read(outcome.diff_path)
    report = await report_of(repo, outcome.thread_id)
    assert report.status == "done"


async def test_a_task_that_is_no_repair_needs_a_model_and_goes_on_when_there_is_one(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    stopped = await do(repo, FEATURE)
    assert (stopped.status, stopped.exit_code) == ("needs_model", 4)
    assert "rolecall doctor" in stopped.hint
    assert (stopped.report_path, git(repo, "worktree", "list").count("\n")) == ("", 0)
    with ModelServer(CompetentScript(files=SLUGIFY)) as server:
        outcome = await go_on(repo, stopped.thread_id, settings_with(openai(server.v1)))
    assert (outcome.status, outcome.exit_code) == ("done", 0)
    assert (await ThreadStore(database_of(repo)).find(stopped.thread_id)).branch == outcome.branch


async def test_a_model_adds_a_function_with_tests(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    before = fingerprint(repo)
    heard = Heard()
    with ModelServer(CompetentScript(files=SLUGIFY)) as server:
        outcome = await do(repo, FEATURE, settings_with(openai(server.v1)), heard=heard)
        assert server.errors == []
    assert (outcome.status, outcome.exit_code) == ("done", 0)
    assert fingerprint(repo) == before
    assert git(repo, "show", f"{outcome.branch}:slugs/slugify.py") == SLUGIFY["slugs/slugify.py"].strip()
    assert [event["node"] for event in heard.named("node_started")] == [
        "route", "scope", "plan", "implement", "summarize", "qa", "assess", "report",
    ]  # fmt: skip
    assert {event["tool"] for event in heard.named("tool_started")} >= {"write_file", "run_checks"}
    assert outcome.usage["coder"].calls >= 2
    assert (await state_of(repo, outcome.thread_id))["served"]["implement"].role == "coder"


async def test_a_model_behind_ollamas_own_protocol_does_the_same(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    with ModelServer(CompetentScript(files=SLUGIFY), shape=Shape.OLLAMA) as server:
        outcome = await do(repo, FEATURE, settings_with(ollama(server.url)))
        assert server.errors == []
        assert {request.path for request in server.requests if request.messages} == {"/api/chat"}
    assert (outcome.status, outcome.exit_code) == ("done", 0)


async def test_two_steps_end_in_two_commits(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    names = list(SLUGIFY)
    steps = [Step(title=f"Write {name}", files={name: SLUGIFY[name]}) for name in names]
    heard = Heard()
    with ModelServer(CompetentScript(steps=steps)) as server:
        outcome = await do(repo, FEATURE, settings_with(openai(server.v1)), heard=heard)
    assert outcome.exit_code == 0
    subjects = git(repo, "log", "--format=%s", f"HEAD..{outcome.branch}").splitlines()
    assert subjects == [f"Write {name}" for name in reversed(names)]
    commits = heard.named("step_committed")
    assert [event["files"] for event in commits] == [[name] for name in names]
    assert [git(repo, "show", "--name-only", "--format=", event["commit"]) for event in commits] == names
    results = (await state_of(repo, outcome.thread_id))["step_results"]
    assert [result.files for result in results] == [(name,) for name in names]
    assert not any("steps" in event for event in heard.named("node_started"))  # the plan itself has told them


async def test_a_red_check_is_mended_in_another_attempt_not_voted_green(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    competent = CompetentScript(files=SLUGIFY)

    def hasty(request: ModelRequest) -> Reply:
        """In its first attempt it writes half of the work and says that it is done."""
        if "write_file" not in request.tool_names or "This is attempt 2" in request.prompt:
            return competent(request)
        if request.last.role == "tool":
            return say("Everything is done.")
        return call("write_file", path="tests/test_slugify.py", content=SLUGIFY["tests/test_slugify.py"])

    with ModelServer(hasty) as server:
        outcome = await do(repo, FEATURE, settings_with(openai(server.v1)))
    state = await state_of(repo, outcome.thread_id)
    assert outcome.exit_code == 0
    assert [result.attempt for result in state["step_results"]] == [1, 2]


async def test_checks_that_stay_red_end_as_not_done_whatever_the_model_says(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    with ModelServer(CompetentScript(files=SLUGIFY)) as server:
        outcome = await do(repo, FEATURE, settings_with(openai(server.v1)), checks=["false"])
    assert (outcome.status, outcome.exit_code) == ("stuck", 1)
    assert "`false` RED" in await read(outcome.report_path)


async def test_checks_that_are_made_to_disappear_are_run_all_the_same(tmp_path: Path) -> None:
    red = {"tests/test_red.py": "def test_red():\n    assert False\n"}
    repo = make_repository(tmp_path / "repo", {**SLUGS, **red})
    steps = [Step(title="Tidy up", files={"slugs/more.py": "Y = 1\n"}, commands=["rm -rf tests"])]
    with ModelServer(CompetentScript(steps=steps)) as server:
        outcome = await do(repo, "Make the failing tests pass", settings_with(openai(server.v1)))
    assert (outcome.status, outcome.exit_code) == ("stuck", 1)
    qa = (await state_of(repo, outcome.thread_id))["qa"]
    assert qa is not None
    assert [run.passed for run in qa.checks] == [False]


async def test_a_server_killed_in_mid_run_stops_with_4_and_the_thread_goes_on_when_it_is_back(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    heard = Heard()
    script = {"competent": {"files": SLUGIFY}}
    with ModelServerProcess(script, tmp_path) as server:
        settings = settings_with(openai(server.v1, timeouts={"connect": 1}))

        def kill_at_work(event: object) -> None:
            heard(event)  # type: ignore[arg-type]
            if heard.named("tool_finished"):
                server.kill()

        stopped = await do(repo, FEATURE, settings, heard=kill_at_work)  # type: ignore[arg-type]
        assert (stopped.status, stopped.exit_code) == ("needs_model", 4)
        server.start()
        outcome = await go_on(repo, stopped.thread_id, settings)
    assert (outcome.status, outcome.exit_code) == ("done", 0)
    state = await state_of(repo, outcome.thread_id)
    assert len(state["step_results"]) == 1


async def test_a_dead_server_with_a_fallback_does_not_stop_the_run(tmp_path: Path) -> None:
    repo = red_repository(tmp_path / "repo")
    dead = openai("http://127.0.0.1:9/v1", fallback=["embedded"])
    outcome = await do(repo, "Make the failing tests pass", settings_with(dead))
    assert outcome.exit_code == 0
    state = await state_of(repo, outcome.thread_id)
    assert state["served"]["scope"].spec == "embedded"
    assert "refused" in state["served"]["scope"].reason


@pytest.mark.parametrize(("task", "status"), [(FEATURE, "done"), ("What does shout do?", "answered")])
async def test_a_router_that_is_away_does_not_stop_the_run(tmp_path: Path, task: str, status: str) -> None:
    repo, heard = make_repository(tmp_path / "repo", SLUGS), Heard()
    with ModelServer(CompetentScript(files=SLUGIFY, answer="It shouts.")) as server:
        llm = {"primary": openai(server.v1), "router": openai(f"http://127.0.0.1:{closed_port()}/v1", fallback=[])}
        settings = Settings.model_validate({"llm": llm, "sandbox": {"mode": "host"}})
        outcome = await do(repo, task, settings, heard=heard)
    assert (outcome.status, outcome.exit_code) == (status, 0)
    assert any("no model routed the task" in one["message"] for one in heard.named("warning"))
    (decided,) = heard.named("routing")
    assert decided["routing_decision"] == "DELEGATE"


async def test_a_question_is_answered_without_touching_a_file(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    for routing, target in (("HANDLE", "REASONING"), ("DELEGATE", "REASONING")):
        with ModelServer(CompetentScript(routing=routing, target=target, answer="It shouts.")) as server:
            outcome = await do(repo, "What does shout do?", settings_with(openai(server.v1)))
        assert (outcome.status, outcome.exit_code) == ("answered", 0)
        assert "It shouts." in await read(outcome.report_path)
        assert git(repo, "rev-parse", "HEAD^{tree}") == git(repo, "rev-parse", f"{outcome.branch}^{{tree}}")


async def test_a_budget_stops_the_run_and_more_of_it_lets_it_go_on(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    with ModelServer(CompetentScript(files=SLUGIFY)) as server:
        spec = openai(server.v1)
        stopped = await do(repo, FEATURE, settings_with(spec, budget={"max_model_calls": 4}))
        assert (stopped.status, stopped.exit_code) == ("budget", 5)
        assert "Stopped by a budget" in await read(stopped.report_path)
        outcome = await go_on(repo, stopped.thread_id, settings_with(spec))
    assert (outcome.status, outcome.exit_code) == ("done", 0)


async def test_what_the_user_had_not_committed_is_worked_on_and_left_alone(tmp_path: Path) -> None:
    repo = red_repository(tmp_path / "repo")
    write(repo, {"inventory/stock.py": (repo / "inventory/stock.py").read_text() + "\nMARK = 1\n", "new.txt": "mine\n"})
    git(repo, "add", "new.txt")
    before = fingerprint(repo)
    outcome = await do(repo, "Make the failing tests pass")
    assert outcome.exit_code == 0
    assert fingerprint(repo) == before
    assert git(repo, "show", f"{outcome.branch}:new.txt") == "mine"
    assert "MARK" not in await read(outcome.diff_path)


async def test_an_answer_that_took_reading_is_worded_anew_from_the_notes(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    competent = CompetentScript(routing="DELEGATE", target="REASONING")

    def reader(request: ModelRequest) -> Reply:
        if "read_file" in request.tool_names:
            seen = request.last.role == "tool"
            return say("slugs/text.py:2 shouts") if seen else call("read_file", path="slugs/text.py")
        if "slugs/text.py:2 shouts" in request.prompt:
            return say("It returns the text in capitals (slugs/text.py:2).")
        return competent(request)

    with ModelServer(reader) as server:
        outcome = await do(repo, "What does shout do?", settings_with(openai(server.v1)))
    assert outcome.status == "answered"
    assert "in capitals (slugs/text.py:2)" in await read(outcome.report_path)
    assert "DELEGATE to REASONING" in await read(outcome.report_path)


async def test_a_thread_that_cannot_begin_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("git", "python3"):
        (programs / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(ConfigError, match="bubblewrap is not installed"):
        await do(repo, "Make the failing tests pass", settings_with(sandbox={"mode": "bubblewrap"}))
    assert await ThreadStore(database_of(repo)).list() == []
    assert git(repo, "for-each-ref", "refs/heads/rolecall", "refs/rolecall") == ""
    assert len(git(repo, "worktree", "list").splitlines()) == 1


async def test_a_question_that_the_router_took_and_cannot_answer_is_handed_on(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    decided = give({"routing_decision": "HANDLE", "target_model": "REASONING", "confidence": 0.9})

    def small(request: ModelRequest) -> Reply:
        return decided if request.title == "RoutingDecision" else fail(Fault.EMPTY_CONTENT)

    heard = Heard()
    with ModelServer(small) as weak, ModelServer(CompetentScript(answer="It shouts.")) as strong:
        llm = {"primary": openai(strong.v1), "router": openai(weak.v1, fallback=[])}
        settings = Settings.model_validate({"llm": llm, "sandbox": {"mode": "host"}})
        outcome = await do(repo, "What does shout do?", settings, heard=heard)
    assert (outcome.status, outcome.exit_code) == ("answered", 0)
    assert "It shouts." in await read(outcome.report_path)
    assert any("delegated" in warning["message"] for warning in heard.named("warning"))


async def test_the_state_says_how_much_time_is_left(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    with ModelServer(CompetentScript(routing="HANDLE", target="REASONING", answer="It shouts.")) as server:
        outcome = await do(repo, "What does shout do?", settings_with(openai(server.v1), budget={"max_minutes": 10}))
    left = (await state_of(repo, outcome.thread_id))["budget_left"]
    assert 500 < left.seconds < 600


async def test_a_token_that_the_model_writes_is_in_its_file_and_in_no_record(tmp_path: Path) -> None:
    token = "AKIA" + "2345678901ABCDEF"
    repo = make_repository(tmp_path / "repo", SLUGS)
    name = "tests/fixtures/keys.txt"
    moves = [
        call("write_file", path=name, content=f"{token}\n"),
        call("run_command", command=f"echo {token} > copied.txt; cat copied.txt"),
    ]
    competent = CompetentScript(files={name: f"{token}\n"})

    def fixture(request: ModelRequest) -> Reply:
        done = sum(message.role == "tool" for message in request.messages)
        if "write_file" not in request.tool_names:
            return competent(request)
        return moves[done] if done < len(moves) else say("done")

    with ModelServer(fixture) as server:
        outcome = await do(repo, "Add a fixture", settings_with(openai(server.v1)))
        assert not any(token in str(request.body) for request in server.requests)
    assert git(repo, "show", f"{outcome.branch}:{name}") == token
    [worktree] = (repo / ".rolecall" / "worktrees").iterdir()
    assert await read(worktree / "copied.txt") == f"{token}\n"
    kept = [path for path in (repo / ".rolecall").rglob("*") if path.is_file() and "worktrees" not in path.parts]
    assert not [path for path in kept if token.encode() in path.read_bytes() and path.name != "diff.patch"]
