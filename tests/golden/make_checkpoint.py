"""Keeps the checkpoints of one small run as they are written today: `python -m tests.golden.make_checkpoint`.

Run once per release, with the release's number; what was kept for earlier releases is never made anew, since what it
proves is that threads of that release can still be read. Needs no model.
"""

import asyncio
import sqlite3
import tempfile
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

from core.config.settings import Settings
from core.context import RunOptions
from core.storage.database import database_of
from core.threads import ThreadOptions
from graph.context_factory import RunSpec
from graph.runner import run
from tests.repositories import make_repository

FOLDER = Path(__file__).parent / "checkpoints"
THREAD = "00000000-0000-4000-8000-000000000001"
TASK = "Make the failing tests pass"
RED = {
    "sums.py": "def total(numbers):\n    result = 1\n    for number in numbers:\n        result += number\n"
    "    return result\n",
    "test_sums.py": "from sums import total\n\n\ndef test_nothing():\n    assert total([]) == 0\n\n\n"
    "def test_some():\n    assert total([1, 2]) == 3\n",
}
KEPT = ("checkpoints", "writes")
"""Only these: other tables name processes, machines and folders."""


async def keep(target: Path) -> None:
    """Run the job on a small red repository and copy its checkpoints.

    Raises:
        RuntimeError: The run did not end well; nothing is kept.
    """
    with tempfile.TemporaryDirectory() as folder:
        repo = make_repository(Path(folder) / "sums", RED)
        spec = RunSpec(
            task=TASK, repo=repo, thread_id=THREAD, options=RunOptions(approve_all=True),
            asked=ThreadOptions(supervise=False), settings=Settings.model_validate({"sandbox": {"mode": "host"}}),
        )  # fmt: skip
        outcome = await run(spec, listen=lambda event: print(event.event))
        if outcome.exit_code != 0:
            raise RuntimeError(f"the run ended as {outcome.status}: {outcome.message}")
        _copy(database_of(repo).path, target)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    with closing(sqlite3.connect(target)) as db:
        db.execute("ATTACH DATABASE ? AS source", (str(source),))
        for table in KEPT:
            (schema,) = db.execute("SELECT sql FROM source.sqlite_master WHERE name = ?", (table,)).fetchone()
            db.execute(schema)
            db.execute(f"INSERT INTO main.{table} SELECT * FROM source.{table}")  # names of ours
        db.commit()
        db.execute("VACUUM")


if __name__ == "__main__":
    asyncio.run(keep(FOLDER / f"{version('rolecall')}.db"))
