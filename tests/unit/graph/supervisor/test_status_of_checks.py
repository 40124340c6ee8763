"""What a line of status says while a check runs, which no checkpoint knows of yet."""

from graph.drive.in_flight import ActivityTracker
from graph.supervisor.snapshot import Snapshot, take_snapshot
from graph.supervisor.status_line import StatusContext, answer_status
from tests.steering.models import nobody
from tests.unit.tools.bench import Events


async def test_a_check_that_runs_is_named() -> None:
    activity = ActivityTracker(Events())

    async def look() -> Snapshot:
        return take_snapshot({"task": "x"}, {}, node="scope")

    speaker = StatusContext("t", nobody(), activity)
    assert "running the check `" not in await answer_status(speaker, look)
    activity.emit("check_started", command="python -m pytest -q")
    assert await answer_status(speaker, look) == "scope · running the check `python -m pytest -q`"
    activity.emit("check_finished", command="python -m pytest -q", exit_code=0, seconds=1.0)
    assert "running the check `" not in await answer_status(speaker, look)
