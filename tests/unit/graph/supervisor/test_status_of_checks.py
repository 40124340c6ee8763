"""What a line of status says while a check runs, which no checkpoint knows of yet."""

from graph.drive.in_flight import Activity
from graph.supervisor.snapshot import Snapshot, observe
from graph.supervisor.status_line import Speaker, answer
from tests.unit.tools.bench import Events


async def test_a_check_that_runs_is_named() -> None:
    activity = Activity(Events())

    async def look() -> Snapshot:
        return observe({"task": "x"}, {}, node="scope")

    speaker = Speaker("t", None, activity)
    assert "running the check `" not in await answer(speaker, look)
    activity.emit("check_started", command="python -m pytest -q")
    assert await answer(speaker, look) == "scope · running the check `python -m pytest -q`"
    activity.emit("check_finished", command="python -m pytest -q", exit_code=0, seconds=1.0)
    assert "running the check `" not in await answer(speaker, look)
