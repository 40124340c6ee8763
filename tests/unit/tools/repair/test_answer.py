"""What comes through the pipe is data: a forged answer makes no file readable and no patch of anything else."""

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.repositories import write
from tools.repair.answer import MAX_SOURCE_BYTES, read_line, result_of
from tools.repair.engine import RepairRequest, search_repair
from tools.repair.result import RepairEvent

SOURCE = "def one():\n    return 2\n"
PRIVATE = "TOKEN = 'of the user'\n"


def sent(**patch: Any) -> dict[str, Any]:
    made = {
        "path": "a.py", "sha256": hashlib.sha256(SOURCE.encode()).hexdigest(), "edits": [[22, 23, "1"]], "line": 2,
        "template": "constant", "score": 1.0, "validated_by": 3, "cluster": 0, "confidence": "low", "reason": "few",
    } | patch  # fmt: skip
    return {
        "status": "plausible", "stop_reason": "done", "patches": [made], "suspicious": [], "disagreement": None,
        "tried": 1, "elapsed_s": 0.1, "failing": ["t"], "passing": 1,
    }  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "secret", {"keys.py": PRIVATE})
    folder = tmp_path / "tree"
    write(folder, {"a.py": SOURCE, ".git/hook.py": SOURCE, "big.py": "#" * (MAX_SOURCE_BYTES + 1), "bad.py": "\0"})
    (folder / "link.py").symlink_to(tmp_path / "secret/keys.py")
    (folder / "folder").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "pipe.py")
    (folder / "directory.py").mkdir()
    return folder


def test_an_honest_patch_is_read(root: Path) -> None:
    result = result_of(root, sent())
    assert result.status == "plausible"
    assert "+    return 1" in result.patches[0].diff
    assert result.stop_reason == "done"


FORGED = [
    {"path": "../secret/keys.py"}, {"path": "/etc/hosts.py"}, {"path": "link.py"}, {"path": "folder/keys.py"},
    {"path": "pipe.py"}, {"path": "directory.py"}, {"path": "big.py"}, {"path": "none.py"}, {"path": "a.py\0"},
    {"path": ".git/hook.py"}, {"path": ".env"}, {"path": "a.txt"}, {"path": ""}, {"path": "x" * 2000 + ".py"},
    {"path": ["a.py"]}, {"sha256": "0" * 64}, {"edits": []}, {"edits": [[30, 22, "1"]]}, {"edits": [[0, 10**9, ""]]},
    {"edits": [[-5, 2, ""]]}, {"edits": [[0, 9, "x"], [5, 12, "y"]]}, {"edits": [[0, 1, "x" * 50_000]]},
    {"edits": [["a", 1, ""]]}, {"line": 0}, {"score": float("nan")}, {"confidence": "sure"}, {"more": 1},
]  # fmt: skip


@pytest.mark.parametrize("forged", FORGED)
def test_a_patch_for_anything_else_is_refused(root: Path, forged: dict[str, Any]) -> None:
    if "path" in forged:  # the forger may know what is in the file
        forged = {"sha256": hashlib.sha256(PRIVATE.encode()).hexdigest(), **forged}
    result = result_of(root, sent(**forged))
    assert result.patches == ()
    assert result.status == "none"
    assert "rejected" in result.stop_reason
    assert "TOKEN" not in result.model_dump_json()


@pytest.mark.parametrize(
    "broken",
    [{}, {"status": "green"}, {**sent(), "patches": "x"}, {**sent(), "tried": -1}, {**sent(), "patches": [{}] * 1000},
     {**sent(), "failing": 3}, {**sent(), "disagreement": []}, {**sent(), "stop_reason": "x" * 100_000}],
)  # fmt: skip
def test_an_answer_that_makes_no_sense_ends_the_search(root: Path, broken: dict[str, Any]) -> None:
    assert result_of(root, broken).status == "interrupted"


def test_lines_of_other_files_are_not_suspected(root: Path) -> None:
    lines = [{"path": path, "line": 1, "score": 1.0, "text": "x"} for path in ("a.py", "../b.py", "/etc/c.py", ".env")]
    assert [line.path for line in result_of(root, {**sent(), "suspicious": lines}).suspicious] == ["a.py"]


@pytest.mark.parametrize(
    "line", [b"", b"[]", b"3", b"{", b'{"event": "shout"}', b'{"event": 3}', b"[" * 100_000, b"\xff"]
)
def test_lines_that_are_no_event_are_passed_over(line: bytes) -> None:
    assert read_line(line) is None


def test_events_and_answers_are_told_apart() -> None:
    assert read_line(b'{"event": "progress", "tried": 3}') == RepairEvent(kind="progress", fields={"tried": 3})
    assert read_line(b'{"event": "result", "result": {"status": "none"}}') == {"status": "none"}


FORGE = """
import json, os

def forge():
    line = json.dumps({"event": "result", "result": json.loads(%r)}).encode() + b"\\n"
    for number in range(3, 64):
        try:
            os.write(number, line)
        except OSError:
            pass
    for process in (os.getppid(), os.getpid()):
        for name in os.listdir(f"/proc/{process}/fd") if os.path.isdir(f"/proc/{process}") else ():
            try:
                with open(f"/proc/{process}/fd/{name}", "wb", buffering=0) as file:
                    file.write(line)
            except OSError:
                pass
"""


async def test_what_test_files_write_while_they_are_collected_prints_no_private_file(tmp_path: Path) -> None:
    write(tmp_path / "secret", {"keys.py": PRIVATE})
    forged = sent(path="../secret/keys.py", sha256=hashlib.sha256(PRIVATE.encode()).hexdigest(), edits=[[0, 0, ""]])
    tests = f"{FORGE % json.dumps(forged)}\nforge()\ndef test_one():\n    assert False\n"
    write(tmp_path / "tree", {"a.py": SOURCE, "test_a.py": tests})
    result = await search_repair(RepairRequest(tmp_path / "tree", sys.executable, dict(os.environ), budget_s=20))
    assert result.patches == ()
    assert "TOKEN" not in result.model_dump_json()


async def without_ptrace(argv: Sequence[str], cwd: Path, env: Mapping[str, str]) -> asyncio.subprocess.Process:
    """As walls start it: a root with all capabilities looks into every process."""
    plain = [] if os.geteuid() else ["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace"]
    return await asyncio.create_subprocess_exec(
        *plain, *argv, cwd=cwd, env=dict(env), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


async def test_tests_that_run_do_not_hold_the_way_out(tmp_path: Path) -> None:
    forged = json.dumps({**sent(), "status": "nothing_fails", "patches": [], "stop_reason": "forged"})
    tests = f"import a\n{FORGE % forged}\ndef test_one():\n    forge()\n    assert a.one() == 1\n"
    write(tmp_path / "tree", {"a.py": SOURCE, "test_a.py": tests})
    request = RepairRequest(tmp_path / "tree", sys.executable, dict(os.environ), budget_s=20)
    result = await search_repair(request, spawn=without_ptrace)
    assert result.stop_reason != "forged"
