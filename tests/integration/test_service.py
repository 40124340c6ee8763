"""The verbs driven directly, as a notebook or a server would: real graph, real git, real SQLite."""

import asyncio
import threading
import time
from pathlib import Path

import pytest

from core.config.settings import Settings
from core.errors import LockedError, ThreadError
from core.events import Event
from core.threads import ThreadOptions, ThreadStatus
from rolecall.service import api
from tests.integration.jobs import openai, red_repository, settings_with
from tests.integration.test_continue import FIRST, SECOND, two_requests
from tests.modelserver.competent import CompetentScript, Step
from tests.modelserver.server import ModelServer
from tests.repositories import fingerprint, git, make_repository

TASK = "Make the failing tests pass"
HOST = Settings.model_validate({"sandbox": {"mode": "host"}, "supervisor": {"enabled": False}})


async def test_a_task_from_start_to_apply(tmp_path: Path) -> None:
    repo = red_repository(tmp_path / "repo")
    assert api.list_threads(api.Request(repo=repo)).threads == ()
    before, heard = fingerprint(repo), list[Event]()
    result = await api.start(
        api.StartRequest(repo=repo, task=TASK, settings=HOST, approve_all=True), listen=heard.append
    )  # fmt: skip
    assert (result.status, result.exit_code) == (ThreadStatus.DONE, 0)
    assert fingerprint(repo) == before
    here = {"repo": repo, "thread": result.thread_id[:8]}
    [listed] = api.list_threads(api.Request(repo=repo / "tests")).threads
    assert (listed.thread_id, listed.status, listed.task) == (result.thread_id, "done", TASK)
    details = api.thread(api.ThreadRequest(**here))
    assert set(details.files) == {"report", "diff", "events"}
    told = api.events(api.EventsRequest(**here))
    assert [event["event"] for event in told.events] == [event.event for event in heard]
    assert api.events(api.EventsRequest(**here, after=told.cursor)).events == ()
    assert "+        return self.count <= self.reorder_at" in api.diff(api.DiffRequest(**here)).diff
    assert api.diff(api.DiffRequest(**here, stat=True)).diff.startswith(" inventory/items.py")
    with pytest.raises(ThreadError, match="is finished"):
        await api.resume(api.ResumeRequest(**here, settings=HOST))
    with pytest.raises(ThreadError, match="the message was not sent"):
        api.steer(api.SteerRequest(**here, text="Use tabs"))
    done = api.apply(api.ApplyRequest(**here))
    assert (done.how, done.applied, done.reservations) == ("merged", True, ())
    assert git(repo, "log", "-1", "--format=%s").endswith(TASK)


async def test_several_threads_are_deleted_at_once_or_none_is(tmp_path: Path) -> None:
    repo = red_repository(tmp_path / "repo")
    threads = []
    for _ in range(2):
        result = await api.start(api.StartRequest(repo=repo, task="Write a poem", settings=HOST, approve_all=True))
        assert result.status is ThreadStatus.NEEDS_MODEL
        threads.append(result.thread_id)
    with pytest.raises(ThreadError, match="no thread 'ffff0000'"):
        api.delete(api.DeleteRequest(repo=repo, threads=(threads[0], "ffff0000")))
    assert len(api.list_threads(api.Request(repo=repo)).threads) == 2
    gone = api.delete(api.DeleteRequest(repo=repo, threads=(threads[0], threads[1], threads[0])))
    assert gone.threads == tuple(threads)
    assert api.list_threads(api.Request(repo=repo)).threads == ()


async def test_a_running_thread_is_steered_and_paused_and_not_continued(tmp_path: Path) -> None:
    repo, begun = red_repository(tmp_path / "repo"), asyncio.Event()
    loop = asyncio.get_running_loop()

    def listen(event: Event) -> None:
        if event.event == "check_started":
            loop.call_soon_threadsafe(begun.set)

    options = ThreadOptions(checks=["sleep 3; false"])
    request = api.StartRequest(repo=repo, task=TASK, settings=HOST, approve_all=True, options=options)
    run = asyncio.create_task(api.start(request, listen=listen))
    await begun.wait()
    here = {"repo": repo, "thread": request.thread_id}
    with pytest.raises(LockedError, match=r"is running; .*`rolecall steer") as refused:
        await api.continue_thread(api.ContinueRequest(**here, text="And more", settings=HOST))
    assert refused.value.exit_code == 75
    said = api.steer(api.SteerRequest(**here, text="Keep the public names"))
    assert said.running
    assert api.pause(api.ThreadRequest(**here)).id == said.id + 1
    result = await run
    assert (result.status, result.exit_code) == (ThreadStatus.PAUSED, 130)
    messages = api.thread(api.ThreadRequest(**here)).messages
    assert [message.kind for message in messages] == ["guidance", "pause"]
    with pytest.raises(ThreadError, match="nothing to pause"):
        api.pause(api.ThreadRequest(**here))


async def test_a_request_follows_another_and_the_last_thread_is_the_default(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", {"slugs/__init__.py": ""})
    with ModelServer(two_requests) as server:
        settings = settings_with(openai(server.v1), supervisor={"enabled": False})
        common = {"repo": repo, "settings": settings, "approve_all": True}
        options = ThreadOptions(checks=["true"], limits={"max_model_calls": 30})
        first = await api.start(api.StartRequest(**common, task=FIRST, options=options))
        again = await api.continue_thread(api.ContinueRequest(**common, text=SECOND))
    assert (again.thread_id, again.status) == (first.thread_id, ThreadStatus.DONE)
    details = api.thread(api.ThreadRequest(repo=repo))
    assert (details.options.checks, details.options.limits) == (["true"], {}), (
        "limits hold for the request they came with"
    )
    [request] = details.messages
    assert (request.kind, request.status, request.text) == ("request", "seen", SECOND)


async def test_a_waiting_question_is_answered_and_the_thread_goes_on(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", {"a.txt": "a\n"})
    step = Step("Write it", files={"b.txt": "b\n"}, commands=("touch c.txt",))
    with ModelServer(CompetentScript(steps=(step,))) as server:
        settings = settings_with(openai(server.v1), supervisor={"enabled": False})
        options = ThreadOptions(checks=["true"])
        stopped = await api.start(api.StartRequest(repo=repo, task="Write it", settings=settings, options=options))
        assert stopped.status is ThreadStatus.WAITING, stopped.message
        here = {"repo": repo, "thread": stopped.thread_id, "settings": settings}
        done = await api.answer(api.AnswerRequest(**here, text="yes"))
    assert done.status is ThreadStatus.DONE, done.message
    assert git(repo, "show", f"{done.branch}:b.txt") == "b"
    with pytest.raises(ThreadError, match="is not waiting for an answer"):
        await api.answer(api.AnswerRequest(**here, text="yes"))


async def test_who_listens_slowly_holds_nobody_up_and_misses_nothing(tmp_path: Path) -> None:
    """The listener sleeps from the first event on until the run is over; the loop beats on meanwhile."""
    repo, awake = red_repository(tmp_path / "repo"), threading.Event()
    heard: list[str] = []
    longest, beating = 0.0, True

    def listen(event: Event) -> None:
        awake.wait(120)
        heard.append(event.event)

    async def beat() -> None:
        nonlocal longest
        while beating:
            at = time.monotonic()
            await asyncio.sleep(0.05)
            longest = max(longest, time.monotonic() - at)

    request = api.StartRequest(repo=repo, task=TASK, settings=HOST, approve_all=True)
    run, pulse = asyncio.create_task(api.start(request, listen=listen)), asyncio.create_task(beat())
    record = repo / ".rolecall" / "runs" / request.thread_id / "events.jsonl"
    while '"event": "result"' not in (record.read_text() if record.exists() else "").replace('":"', '": "'):
        assert not run.done()
        await asyncio.sleep(0.1)
    assert heard == []
    awake.set()
    assert (await run).status is ThreadStatus.DONE
    beating = False
    await pulse
    assert (heard[-1], heard.count("node_started") > 5) == ("result", True)
    assert longest < 5


async def test_what_a_listener_raises_ends_nothing_and_is_told_at_the_end(tmp_path: Path) -> None:
    repo = red_repository(tmp_path / "repo")

    def listen(event: Event) -> None:
        raise ValueError(event.event)

    request = api.StartRequest(repo=repo, task=TASK, settings=HOST, approve_all=True)
    with pytest.raises(ValueError, match="roles"):
        await api.start(request, listen=listen)
    assert api.thread(api.ThreadRequest(repo=repo)).status == "done"


def test_what_the_settings_say_and_who_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLECALL_CONFIG", "")
    shown = api.config(api.ConfigRequest(repo=tmp_path, options=ThreadOptions(limits={"max_tokens": 7})))
    assert (shown.path, shown.settings["budget"]["max_tokens"]) == (None, 7)
    assert {role.serves for role in api.models(api.SetupRequest(repo=tmp_path)).diagnosis.roles} >= {"embedded"}
    assert api.doctor(api.DoctorRequest(repo=tmp_path)).diagnosis.live is False
