import logging
import shutil
import sqlite3
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl

from core import artifacts
from core.config.settings import Settings
from core.storage.database import Database, database_of
from graph.context_factory import RunSpec, open_context
from graph.runner import open_graph
from graph.store.adoption import adopt_folder
from tests.golden.make_checkpoint import FOLDER, RED, TASK, THREAD
from tests.repositories import make_repository

KEPT = sorted(FOLDER.glob("*.db"))
THREAD_CONFIG: Any = {"configurable": {"thread_id": THREAD}}
TYPES = {
    "routing": artifacts.RoutingDecision,
    "scope": artifacts.Scope,
    "plan": artifacts.Plan,
    "baseline": artifacts.QAReport,
    "qa": artifacts.QAReport,
    "assessment": artifacts.AssessDecision,
    "report": artifacts.Report,
    "budget_left": artifacts.BudgetLeft,
}
ROWS = {"step_results": artifacts.StepResult, "summaries": artifacts.StepSummary}


@pytest.fixture(params=KEPT, ids=[path.stem for path in KEPT])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy: opening a file may write to it."""
    return Path(shutil.copy(request.param, tmp_path / "rolecall.db"))


def test_this_release_has_its_checkpoints() -> None:
    assert version("rolecall") in [path.stem for path in KEPT]
    assert all(path.stat().st_size < 300_000 for path in KEPT)


async def test_a_thread_of_every_release_comes_back_as_our_types(
    database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with open_graph(Settings(), Database(database)) as graph:
            snapshot = await graph.aget_state(THREAD_CONFIG)
    values = snapshot.values
    assert values["task"] == TASK
    assert values["outcome"] == "done"
    assert snapshot.next == ()
    assert {key: type(values[key]) for key in TYPES} == TYPES
    assert {key: type(values[key][0]) for key in ROWS} == ROWS
    assert {type(served) for served in values["served"].values()} == {artifacts.Served}
    assert type(values["plan"].steps[0]) is artifacts.PlanStep
    assert values["qa"].green
    assert not values["baseline"].green
    assert caplog.messages == []


async def test_every_step_of_it_can_be_gone_back_to(database: Path) -> None:
    async with open_graph(Settings(), Database(database)) as graph:
        history = [snapshot async for snapshot in graph.aget_state_history(THREAD_CONFIG)]
        nodes = set(graph.nodes)
    assert [snapshot.next[0] for snapshot in reversed(history) if snapshot.next] == [
        "__start__", "route", "scope", "plan", "implement", "summarize", "qa", "assess", "report",
    ]  # fmt: skip
    assert {name for snapshot in history for name in snapshot.next} <= nodes


async def test_the_transcript_of_the_coding_loop_is_there(database: Path) -> None:
    with closing(sqlite3.connect(database)) as db:
        (space,) = db.execute("SELECT DISTINCT checkpoint_ns FROM checkpoints WHERE checkpoint_ns != ''").fetchone()
    config: Any = {"configurable": {"thread_id": THREAD, "checkpoint_ns": space}}
    async with open_graph(Settings(), Database(database)) as graph:
        messages = (await graph.aget_state(config)).values["messages"]
    assert isinstance(messages[0], HumanMessage)
    assert isinstance(messages[-1], AIMessage)
    assert {message.name for message in messages if isinstance(message, ToolMessage)} >= {"repair_search", "edit_file"}


@pytest.fixture
async def old(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository in which the thread ran."""
    monkeypatch.setenv("ROLECALL_STATE_DIR", str(tmp_path / "state"))
    repo = make_repository(tmp_path / "sums", RED)
    database_of(repo).path.parent.mkdir()
    shutil.copy(database, database_of(repo).path)
    await adopt_folder(repo)
    return repo


async def test_an_old_thread_can_be_driven_on(old: Path) -> None:
    """From before its last decision, by the nodes of today."""
    settings = Settings.model_validate({"sandbox": {"mode": "host"}})
    async with (
        open_context(RunSpec(THREAD, old, settings)) as context,
        open_graph(settings, database_of(old)) as app,
    ):
        before = [it async for it in app.aget_state_history(THREAD_CONFIG) if it.next == ("assess",)]
        ran = [part async for part in app.astream(None, before[0].config, context=context, stream_mode="updates")]
    assert [name for part in ran for name in part] == ["assess", "report"]
    assert ran[-1]["report"]["report"].status == "done"
    assert (context.workspace.run_dir / "report.md").is_file()


@pytest.mark.parametrize(
    ("place", "then"),
    [
        ("ModelCallLimitMiddleware.before_model", "model"),
        ("Compaction.before_model", "model"),
        ("ModelCallLimitMiddleware.after_model", "tools"),
        ("InboxMiddleware.after_model", "tools"),
    ],
)
async def test_an_old_thread_killed_between_two_steps_of_its_loop_goes_on_with_the_loop(
    old: Path, place: str, then: str
) -> None:
    settings = Settings.model_validate({"sandbox": {"mode": "host"}})
    await killed_before(old, place)
    async with (
        open_context(RunSpec(THREAD, old, settings)) as context,
        open_graph(settings, database_of(old)) as app,
    ):
        names: list[str] = []
        control = RunControl()
        parts = app.astream(
            None, THREAD_CONFIG, context=context, control=control, stream_mode="tasks", subgraphs=True, version="v2"
        )
        with suppress(GraphDrained):
            async for part in parts:
                if part["ns"] and "input" in part["data"]:
                    names.append(part["data"]["name"])
                if len(names) == 2:
                    control.request_drain("seen enough")
    assert names == [place, then]


async def killed_before(repo: Path, place: str) -> None:
    """Take back what came after the first checkpoint of the coding loop that leads to a node."""
    with closing(sqlite3.connect(database_of(repo).path)) as db:
        (space,) = db.execute("SELECT DISTINCT checkpoint_ns FROM checkpoints WHERE checkpoint_ns != ''").fetchone()
    config: Any = {"configurable": {"thread_id": THREAD, "checkpoint_ns": space}}
    async with open_graph(Settings(), database_of(repo)) as app:
        *_, first = [it async for it in app.aget_state_history(config) if it.next == (place,)]
    last = first.config["configurable"]["checkpoint_id"]
    with closing(sqlite3.connect(database_of(repo).path)) as db:
        db.execute("DELETE FROM checkpoints WHERE checkpoint_id > ?", (last,))
        db.execute("DELETE FROM writes WHERE checkpoint_id >= ?", (last,))
        outer = "SELECT max(checkpoint_id) FROM checkpoints WHERE checkpoint_ns = ''"
        db.execute(f"DELETE FROM writes WHERE checkpoint_ns = '' AND checkpoint_id = ({outer})")
        db.commit()
