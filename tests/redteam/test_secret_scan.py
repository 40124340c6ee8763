"""No planted secret is found in anything that rolecall leaves or sends, whatever it was asked to do."""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.storage.layout import FOLDER
from tests.redteam.scan.runs import World, run_all, world
from tests.redteam.scan.search import Find, database_cells, files_of, find, git_directories, git_objects

FEWEST_KINDS = 15
FEWEST_RUNS = 20
NEVER_SENT_ANYTHING = frozenset({"main", "small", "given", "slow", "refusing", "collector"})


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """All the runs, made once."""
    with world(tmp_path_factory.mktemp("scan")) as made:
        run_all(made)
        yield made


def _finds(made: World) -> Iterator[Find]:
    yield from _said(made)
    yield from _kept(made)
    yield from _committed(made)
    yield from _sent(made)


def _said(made: World) -> Iterator[Find]:
    for name, (_, out, err) in made.said.items():
        yield from find(made.planted, "stdout", out.encode())
        yield from find(made.planted, "stderr", err.encode())
        if name == "401, short key" and made.planted["short key"] in out + err:
            yield Find("short key", "stderr", err[-300:])


def _kept(made: World) -> Iterator[Find]:
    state = made.repo / FOLDER
    for path in files_of(state):
        kind, inside = _kind_of(path), "worktrees" in path.relative_to(state).parts
        yield from find(made.planted, "worktree" if inside else kind, path.read_bytes(), tracked=not inside)
    for path in files_of(made.state):
        yield from find(made.planted, "state folder", path.read_bytes())
    for path in [*made.state.rglob("*.db"), *state.glob("*.db")]:
        yield from find(made.planted, "database", database_cells(path))


def _kind_of(path: Path) -> str:
    if path.name.startswith("rolecall.db"):
        return "database file"
    return path.name if path.suffix in {".md", ".jsonl", ".patch", ".log"} else "other files"


def _committed(made: World) -> Iterator[Find]:
    for directory in {made.repo / ".git", *git_directories(made.repo / FOLDER), *git_directories(made.state)}:
        for name, content in git_objects(directory).items():
            if name not in made.objects_before:
                yield from find(made.planted, "git objects", content)


def _sent(made: World) -> Iterator[Find]:
    for name, tap in made.taps.items():
        owner = "main" if name == "slow" else name
        for one in find(made.planted, f"sent to {name}", tap.received):
            if made.planted.by_name[one.secret].owner != owner:
                yield one
        for one in find(made.planted, f"sent to {name}", tap.without_own_headers()):
            # In the line of the request the key of a query is at home.
            if made.planted.by_name[one.secret].owner == owner and name != "gone":
                yield one


def _table(finds: list[Find], made: World) -> str:
    rows: dict[str, dict[str, int]] = {name: defaultdict(int) for name in made.planted.by_name}
    for one in finds:
        rows[one.secret][one.where] += 1
    lines = [f"{len(rows)} kinds of secrets, {len(made.said)} runs"]
    for name, places in rows.items():
        told = ", ".join(f"{where} ({count})" for where, count in sorted(places.items())) or "-"
        lines.append(f"  {name:28} {told}")
    return "\n".join(lines)


@pytest.mark.redteam
@pytest.mark.timeout(1800)
def test_no_secret_is_left_or_sent(done: World) -> None:
    finds = list(dict.fromkeys(_finds(done)))
    print(_table(finds, done))
    examples = {(one.secret, one.where): one.what for one in finds}
    assert not finds, json.dumps({" in ".join(key): what for key, what in examples.items()}, indent=1)


@pytest.mark.redteam
@pytest.mark.timeout(1800)
def test_the_runs_were_runs(done: World) -> None:
    assert len(done.planted.by_name) >= FEWEST_KINDS
    assert len(done.said) >= FEWEST_RUNS
    codes = {name: code for name, (code, _, _) in done.said.items()}
    for name in ("success, token in the task", "success as JSON", "spans", "key in --model", "resumed", "watch"):
        assert codes[name] == 0, done.said[name]
    for name in ("401", "401 as JSON, debug", "401, short key"):
        assert codes[name] == 4, done.said[name]
    assert codes["failure"] != 0
    assert codes["broken config"] == codes["broken variable"] == 3
    assert codes["resumed without its key"] in {0, 2}
    logs = [path.read_text() for path in (done.repo / FOLDER).glob("runs/*/debug.log")]
    assert any("git " in log and "event model_started" in log for log in logs)
    assert "DEBUG   " in done.said["success as JSON"][2]
    assert all(done.taps[name].received for name in NEVER_SENT_ANYTHING), "a server was never asked"


@pytest.mark.redteam
@pytest.mark.timeout(1800)
def test_the_scan_finds_what_is_there(done: World, tmp_path: Path) -> None:
    (tmp_path / "left").write_text(f"key={done.planted['config api_key']}")
    (found,) = find(done.planted, "a file", (tmp_path / "left").read_bytes())
    assert found.secret == "config api_key"
