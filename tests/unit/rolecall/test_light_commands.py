"""Commands that only look at a thread, or leave it a word, import none of what drives one."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.storage.database import database_of
from core.threads import ThreadOptions, ThreadRow
from graph.store.event_log import EventLog
from graph.store.thread_store import ThreadStore
from tests.repositories import make_repository
from tests.unit.rolecall.command_line import HOUSE, environment
from tools.git.state_folder import ensure_layout

THREAD = "0f4b2d1e-7c1a-4a6b-9d3e-5a1f0c2b3d4e"
HEAVY = {
    "langchain",
    "langchain_core",
    "langchain_openai",
    "langgraph",
    "openai",
    "langsmith",
    "yaml",
}
REPORT = """
import json, sys
from rolecall.cli import main
code = main(sys.argv[1:])
print(json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--help",), 0),
        (("threads", "list"), 0),
        (("threads", "show", THREAD), 0),
        (("log", THREAD), 0),
        (("watch", THREAD), 0),
        (("steer", THREAD, "Keep the public API"), 0),
        (("pause", THREAD), 2),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
async def test_it_imports_nothing_heavy(tmp_path: Path, words: tuple[str, ...], code: int) -> None:
    repo = make_repository(tmp_path / "repo", {"a.py": "A = 1\n"})
    layout = await ensure_layout(repo)
    now = time.time()
    await ThreadStore(database_of(repo)).create(ThreadRow(
        thread_id=THREAD, task="work", repo=repo, branch="rolecall/0f4b2d1e", status="interrupted", created=now,
        updated=now, options=ThreadOptions(limits={"max_tokens": 5}),
    ))  # fmt: skip
    with EventLog(THREAD, layout.make_run(THREAD).events) as log:
        log.emit("run_started", task="work", repo=str(repo), branch="rolecall/0f4b2d1e", resumed=False)
        log.emit("interrupted", by="the machine went down")
    done = subprocess.run(
        [sys.executable, "-c", REPORT, *words, *(("--repo", str(repo)) if words[0] != "--help" else ())],
        cwd=HOUSE, env=environment(tmp_path), capture_output=True, text=True, check=True,
    )  # fmt: skip
    ended, imported = json.loads(done.stdout.splitlines()[-1])
    assert ended == code, done.stderr
    assert HEAVY & set(imported) == set()
