"""`rolecall models`, `models bench` and `doctor`, as processes, against scripted servers."""

import json
from pathlib import Path

import pytest

from tests.modelserver.reply import Reply, give, say
from tests.modelserver.request import ModelRequest
from tests.modelserver.server import ModelServer
from tests.unit.rolecall.command_line import rolecall


def brief(request: ModelRequest) -> Reply:
    if request.schema is not None:
        return give({"status_line": "One test fails."})
    return say("test_total_with_discount fails: 90.0 instead of 81.0.")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "somewhere"
    folder.mkdir()
    return folder


def configure(place: Path, server: ModelServer) -> str:
    path = place / "config.json"
    spec = {"provider": "openai_compatible", "model": "scripted", "base_url": server.v1, "api_key": "sk-hush-hush-1"}
    path.write_text(json.dumps({"llm": {"primary": spec, "summarizer": "primary"}}), encoding="utf-8")
    return str(path)


def test_bench_compares_models_and_says_who_was_good(place: Path) -> None:
    with ModelServer(brief) as server:
        words = ("models", "bench", "--role", "summarizer", "--model", "primary", "--model", "embedded")
        done = rolecall(*words, "--config", configure(place, server), "--json", cwd=place)
    told = json.loads(done.out)
    assert done.code == 0, done.err
    first, second = told["models"]
    assert (first["model"], first["good"], first["asked"]) == ("primary", 2, 2)
    assert (second["model"], second["good"]) == ("embedded", 0)
    assert not told["recorded"]


def test_the_doctor_says_which_server_and_window_it_found(place: Path) -> None:
    with ModelServer(brief, context=6144) as server:
        done = rolecall("doctor", "--config", configure(place, server), "--json", cwd=place)
    told = json.loads(done.out)
    assert done.code == 0, done.err
    (spec,) = [one for one in told["specs"] if one["provider"] == "openai_compatible"]
    assert (spec["server"], spec["window"], spec["ok"]) == ("llama.cpp", 6144, True)
    assert "sk-hush" not in done.out + done.err


def test_the_doctor_exits_4_when_nobody_can_serve(place: Path) -> None:
    with ModelServer(brief) as server:
        config = configure(place, server)
    done = rolecall("doctor", "--config", config, cwd=place)
    assert done.code == 4
    assert "nothing listens there" in done.out
    assert "llm.primary.base_url" in done.out
