"""The doctor, examining scripted servers over HTTP."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.settings import ModelSpec, Settings
from core.settings_source import load_settings
from llm_registry import doctor
from llm_registry.advice import line_of
from llm_registry.doctor import Diagnosis, examine
from tests.modelserver.info import Shape
from tests.modelserver.reply import Reply, call, give, say
from tests.modelserver.request import ModelRequest
from tests.modelserver.server import ModelServer, closed_port
from tests.unit.llm_registry.raw import paths


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No server of this machine is looked for, and no state outside the test is touched."""
    monkeypatch.setattr(doctor, "USUAL_PLACES", ())
    monkeypatch.setenv("ROLECALL_STATE_DIR", str(tmp_path / "state"))


def able(request: ModelRequest) -> Reply:
    """A model that can do all three tasks."""
    if request.schema is not None:
        return give({"country": "Norway", "capital": "Oslo", "letters_in_capital": 4})
    if request.tools and request.messages[-1].role != "tool":
        return call("get_weather", city="Oslo")
    return say("18 degrees and rain, one, two, three")


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(able, models=("scripted", "other"), strict_models=True) as running:
        yield running


def spec(url: str, **more: object) -> dict[str, object]:
    return {"provider": "openai_compatible", "model": "scripted", "base_url": url, **more}


async def diagnose(tmp_path: Path, llm: dict[str, object], *, live: bool = False) -> Diagnosis:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"llm": llm}, indent=1), encoding="utf-8")
    return await examine(load_settings(config).settings, config=config, live=live)


async def test_a_good_setup_is_healthy(tmp_path: Path, server: ModelServer) -> None:
    found = await diagnose(tmp_path, {"primary": spec(server.v1, fallback=["embedded"])})
    (primary, *_) = found.roles
    assert found.healthy
    assert found.remedies == ()
    assert (primary.role, primary.serves, primary.falls_to) == ("primary", "primary:scripted", ("embedded",))
    (first, _) = found.specs
    assert (first.server, first.model_present, first.window, first.window_source) == (
        "llama.cpp",
        True,
        32768,
        "loaded",
    )
    assert server.requests == []


async def test_without_any_model_the_line_to_add_is_given() -> None:
    found = await examine(Settings())
    assert not found.healthy
    (remedy,) = found.remedies
    assert remedy.place == "llm.primary"
    written = json.loads("{" + remedy.line + "}")
    assert ModelSpec.model_validate(written["primary"]).provider == "ollama"


async def test_a_server_that_is_found_is_proposed(
    tmp_path: Path, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "USUAL_PLACES", (("openai_compatible", server.v1),))
    found = await diagnose(tmp_path, {"primary": spec(f"http://127.0.0.1:{closed_port()}/v1")})
    (remedy,) = found.remedies
    assert remedy.line == f'"base_url": "{server.v1}"'
    assert remedy.urgent
    assert "nothing listens there" in remedy.problem
    config = (tmp_path / "config.json").read_text(encoding="utf-8").splitlines()
    line = int(remedy.place.split(":")[1].split()[0])
    assert '"base_url"' in config[line - 1]
    assert found.roles[0].serves == ""


async def test_a_wrong_model_names_what_is_near(tmp_path: Path, server: ModelServer) -> None:
    llm = {"primary": spec(server.v1, model="script"), "summarizer": spec(server.v1)}
    with ModelServer(able, shape=Shape.VLLM, models=("scripted", "other")) as strict:
        llm["primary"] = spec(strict.v1, model="scriptd")
        found = await diagnose(tmp_path, llm)
    (remedy,) = [one for one in found.remedies if one.urgent]
    assert remedy.line == '"model": "scripted"'
    assert "scripted, other" in remedy.otherwise
    assert not found.healthy


async def test_a_refused_key_says_which_line(tmp_path: Path) -> None:
    with ModelServer(able, api_key="right-key-1234") as server:
        found = await diagnose(tmp_path, {"primary": spec(server.v1, api_key="wrong-key-1234")})
    (remedy,) = found.remedies
    assert remedy.line.startswith('"api_key": "${')
    assert "wrong-key-1234" not in found.model_dump_json()


async def test_a_small_window_is_named_for_the_roles_that_need_more(tmp_path: Path) -> None:
    with ModelServer(able, context=2048) as server:
        found = await diagnose(tmp_path, {"primary": spec(server.v1), "summarizer": spec(server.v1)})
    (remedy,) = found.remedies
    assert "2048" in remedy.problem
    assert "summarizer" not in remedy.problem.partition("small for")[2]
    assert not remedy.urgent


async def test_a_model_that_calls_no_tools_is_no_coder(tmp_path: Path) -> None:
    props = {"default_generation_settings": {"n_ctx": 16384}, "chat_template_caps": {"supports_tools": False}}
    answers = {"/v1/models": {"data": [{"id": "scripted", "owned_by": "llamacpp"}]}, "/props": props}
    async with paths(answers) as url:
        found = await diagnose(tmp_path, {"primary": spec(f"{url}/v1"), "coder": spec(f"{url}/v1")})
    (remedy,) = [one for one in found.remedies if one.urgent]
    assert remedy.problem.startswith("coder:scripted: the model cannot call tools")
    assert not found.healthy


async def test_live_tasks_show_what_a_model_can_do(tmp_path: Path, server: ModelServer) -> None:
    found = await diagnose(tmp_path, {"primary": spec(server.v1)}, live=True)
    first = found.specs[0]
    assert first.tool_call is not None
    assert first.tool_call.ok
    assert first.json_object is not None
    assert first.json_object.ok
    assert "Oslo" in first.json_object.detail
    assert first.tokens_per_s
    assert found.healthy


async def test_live_tasks_show_what_a_model_can_not_do(tmp_path: Path) -> None:
    with ModelServer(lambda _: say("I am only a parrot.")) as server:
        found = await diagnose(tmp_path, {"primary": spec(server.v1)}, live=True)
    first = found.specs[0]
    assert first.tool_call is not None
    assert not first.tool_call.ok
    assert "parrot" in first.tool_call.detail
    assert first.json_object is not None
    assert not first.json_object.ok
    assert {remedy.place.split(".")[1] for remedy in found.remedies} >= {"coder", "primary"}


async def test_nothing_private_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home" / "ada"))
    port = closed_port()
    found = await diagnose(tmp_path / "", {
        "primary": spec(f"http://ada:passw0rd@127.0.0.1:{port}/v1", api_key="sk-abcdef123456"),
        "coder": {"provider": "gguf", "options": {"path": "~/models/secret.gguf"}},
    })  # fmt: skip
    text = found.model_dump_json()
    for private in ("passw0rd", "sk-abcdef123456", "home/ada"):
        assert private not in text
    assert "~/models/secret.gguf" in text


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ('{\n "llm": {\n  "primary": {\n   "model": "m"\n}}}', ("llm", "primary", "model"), 4),
        ('{\n\t"llm": {\n\t\t"primary": {}}}', ("llm", "primary", "base_url"), 3),
        ("llm:\n  coder: primary\n  primary:\n    model: m\n", ("llm", "primary", "model"), 4),
        ("llm: {}", ("tools", "ask"), None),
        ("{", ("llm",), None),
    ],
)
def test_lines_are_found_in_json_and_yaml(text: str, path: tuple[str, ...], line: int | None) -> None:
    assert line_of(text, path) == line
