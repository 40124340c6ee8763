"""`rolecall models`, `models bench` and `doctor`, as processes, against scripted servers."""

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from core.storage.database import Database
from core.storage.layout import RepoLayout
from core.storage.ownership import make_state_folder
from llm_registry.records.call_log import CallLog, CallRow
from tests.modelserver.reply import Reply, give, say
from tests.modelserver.request import ModelRequest
from tests.modelserver.server import ModelServer, closed_port
from tests.unit.rolecall.command_line import HOUSE, rolecall


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
    assert "nothing is listening there" in done.out
    assert "llm.primary.base_url" in done.out


def test_the_doctor_does_not_call_a_role_ok_that_a_stand_in_serves(place: Path) -> None:
    down = {"provider": "openai_compatible", "model": "gone", "base_url": f"http://127.0.0.1:{closed_port()}/v1"}
    path = place / "config.json"
    with ModelServer(brief) as server:
        up = {**down, "model": "scripted", "base_url": server.v1}
        llm = {"primary": {**down, "fallback": ["embedded"]}, "coder": {**down, "fallback": ["router"]}, "router": up}
        path.write_text(json.dumps({"llm": llm}), encoding="utf-8")
        done = rolecall("doctor", "--config", str(path), cwd=place)
        told = json.loads(rolecall("doctor", "--config", str(path), "--json", cwd=place).out)
    assert done.code == 0, done.err
    shown = {line.split()[1]: line for line in done.out.splitlines() if line[:3] in {"ok ", "!! ", "NO "}}
    assert shown["primary"] == (
        "!!  primary     embedded: no configured model can serve; it only repairs failing Python tests"
    )
    assert shown["coder"].startswith("!!  coder       router:scripted instead")
    assert shown["router"].startswith("ok  router      router:scripted")
    assert not told["healthy"]
    roles = {role["role"]: (role["replaced"], role["engine_only"]) for role in told["roles"]}
    assert (roles["primary"], roles["coder"], roles["router"]) == ((True, True), (True, False), (False, False))


def test_what_is_unknown_is_not_shown_as_nothing(place: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=place, check=True)
    make_state_folder(RepoLayout(place))
    store = CallLog(Database(RepoLayout(place).database))
    common = {"role": "coder", "spec": "mixed", "provider": "ollama", "outcome": "ok", "total_s": 1.0}
    for row in (CallRow(**common, output_tokens=7, cost_usd=0.25), CallRow(**common, output_tokens=5)):
        asyncio.run(store.record(row))
    done = rolecall("models", cwd=place)
    (line,) = [line for line in done.out.splitlines() if " mixed " in line]
    assert "12 out" in line
    assert " in," not in line
    assert "0.2500 USD and 1 call of unknown price" in line


def test_the_doctor_exits_3_for_what_no_run_would_take(place: Path) -> None:
    config = place / "config.json"
    for spec, said in (
        ({"provider": "openai_compatible", "model": "m"}, "no base_url"),
        ({"provider": "openrouter", "model": "v/m"}, "no api_key"),
        ({"provider": "olama", "model": "m"}, "unknown provider"),
    ):
        config.write_text(json.dumps({"llm": {"primary": {**spec, "fallback": ["embedded"]}}}), encoding="utf-8")
        done = rolecall("doctor", "--config", str(config), cwd=place)
        assert done.code == 3
        assert f"{said}" in done.out
        assert "no run can start until this is fixed" in done.out


def test_whoever_has_no_file_yet_is_told_to_make_one_and_not_to_change_the_sample(place: Path) -> None:
    sample = str(HOUSE / "config.json")
    located, own = rolecall("config", "path", cwd=place), rolecall("config", "path", "--user", cwd=place)
    assert (located.code, located.out.strip()) == (0, sample)
    assert own.out.startswith(str(place.parent))
    assert own.out.strip() in located.err

    examined = rolecall("doctor", "--json", cwd=place)
    told = json.loads(examined.out)
    # A role that is turned off and only serves a tool is no fault.
    assert (examined.code, [role["role"] for role in told["roles"] if not role["serves"]]) == (0, ["research"])
    assert told["own_config"].removeprefix("~") in own.out

    mine = Path(own.out.strip())
    mine.parent.mkdir(parents=True)
    mine.write_text("{}", encoding="utf-8")
    located = rolecall("config", "path", cwd=place)
    assert (located.out, located.err) == (own.out, "")
    assert json.loads(rolecall("doctor", "--json", cwd=place).out)["own_config"] == ""


def test_a_configuration_no_run_would_take_is_not_valid(place: Path) -> None:
    config = place / "config.json"
    spec = {"provider": "olama", "model": "phi3:mini", "base_url": "http://127.0.0.1:1"}
    config.write_text(json.dumps({"llm": {"models": {"small": spec}}}), encoding="utf-8")
    done = rolecall("config", "validate", "--config", str(config), cwd=place)
    assert done.code == 3
    assert "llm.small: unknown provider 'olama'; did you mean `ollama`" in done.err
    config.write_text(json.dumps({"llm": {"models": {"small": {**spec, "enabled": False}}}}), encoding="utf-8")
    assert rolecall("config", "validate", "--config", str(config), cwd=place).code == 0


def test_bench_goes_on_past_a_model_that_is_away(place: Path) -> None:
    with ModelServer(brief) as server:
        config = configure(place, server)
        dead = f"openai_compatible:gone@http://127.0.0.1:{closed_port()}/v1"
        words = ("models", "bench", "--role", "summarizer", "--config", config)
        done = rolecall(*words, "--model", dead, "--model", "primary", cwd=place)
        unknown = rolecall(*words, "--model", "primry", cwd=place)
    assert done.code == 0, done.err
    assert "0 of 2 good" in done.out
    assert "2 of 2 good" in done.out
    assert "nothing is listening" in done.out
    assert unknown.code == 2
    assert "did you mean `primary`?" in unknown.err


def test_the_quantization_of_a_model_is_shown(place: Path) -> None:
    with ModelServer(brief) as server:
        spec = {"id": "scripted", "endpoint": server.v1, "quantization": "8bit", "role": "primary"}
        config = place / "config.json"
        config.write_text(json.dumps({"models": {"big": spec}}), encoding="utf-8")
        listed = rolecall("models", "--config", str(config), cwd=place)
        examined = rolecall("doctor", "--config", str(config), cwd=place)
    assert "primary     big (8bit)" in listed.out
    assert "  8bit" in examined.out
