"""The lines the doctor proposes: done to the file as they stand, they mend what was wrong."""

import json
from pathlib import Path

import pytest

from core.config.loader import load_settings
from core.config.settings import Settings
from llm_registry.diagnosis import doctor
from llm_registry.diagnosis.config_edits import ConfigOrigin
from llm_registry.diagnosis.doctor import diagnose_roles
from tests.modelserver.info import Shape
from tests.modelserver.server import ModelServer, closed_port
from tests.unit.llm_registry.doctor.rig import able, applied, diagnose, spec


def misplace(server: str, ollama: str) -> dict[str, dict[str, object]]:
    port, host = closed_port(), server.removeprefix("http://")
    return {
        "forgotten v1": spec(server),
        "path of a call": spec(f"{server}/chat/completions"),
        "path of the list": spec(f"{server}/v1/models"),
        "another version": spec(f"{server}/v2"),
        "wrong scheme": spec(f"https://{host}/v1"),
        "another protocol": spec(server, provider="ollama"),
        "another protocol behind v1": spec(f"{server}/v1", provider="ollama"),
        "path of Ollama": spec(f"{ollama}/api/chat", provider="ollama"),
        "Ollama behind v1": spec(f"{ollama}/v1", provider="ollama"),
        "Ollama as another": spec(f"{ollama}/v1"),
        "near model": spec(f"{server}/v1", model="scriptd"),
        "far model": spec(f"{server}/v1", model="gpt"),
        "no model": {"provider": "ollama", "base_url": ollama},
        "nothing there": spec(f"http://127.0.0.1:{port}/v1"),
        "nothing there, other model": spec(f"http://127.0.0.1:{port}/v1", model="gpt"),
        "no address": {"provider": "openai_compatible", "model": "scripted"},
        "unknown provider": spec(ollama, provider="olama"),
        "disabled": spec(f"{server}/v1", enabled=False),
        "nothing": {},
        "narrow window": {"provider": "ollama", "model": "scripted", "base_url": ollama, "context_length": 2048},
        "narrow option": spec(ollama, provider="ollama", options={"num_ctx": 2048}),
        "too much": spec(f"{server}/v1", context_length=400_000),
        "too little": spec(f"{server}/v1", context_length=2048),
    }


@pytest.mark.parametrize("last", [True, False], ids=["last key", "first key"])
@pytest.mark.parametrize("wrong", sorted(misplace("http://a", "http://b")))
async def test_the_proposed_lines_mend_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str, *, last: bool
) -> None:
    names = ("text-embed", "scripted", "other")
    narrow = {"context": 4096} if wrong.startswith("Ollama") else {}
    with (
        ModelServer(able, shape=Shape.VLLM, models=names) as server,
        ModelServer(able, shape=Shape.OLLAMA, models=names, strict_models=True, **narrow) as ollama,
    ):
        monkeypatch.setattr(doctor, "USUAL_PLACES", (("openai_compatible", server.v1),))
        given = misplace(server.url, ollama.url)[wrong]
        ordered = given if last else dict(reversed(given.items()))
        ill = await diagnose(tmp_path, {"primary": ordered} if given else {})
        assert ill.remedies
        applied(tmp_path / "config.json", ill)
        config = tmp_path / "config.json"
        well = await diagnose_roles(load_settings(config).settings, origin=ConfigOrigin(config))
    assert well.remedies == ()
    assert well.roles[0].serves.startswith("primary:")
    assert well.healthy


async def test_without_a_file_a_whole_one_is_proposed(
    tmp_path: Path, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "USUAL_PLACES", (("openai_compatible", server.v1),))
    new = tmp_path / "config.json"
    (remedy,) = (await diagnose_roles(Settings(), origin=ConfigOrigin(new=new))).remedies
    assert remedy.place == f"{new}, a new file (llm.primary)"
    new.write_text(remedy.line, encoding="utf-8")
    assert (await diagnose_roles(load_settings(new).settings, origin=ConfigOrigin(new))).remedies == ()


@pytest.mark.parametrize("whole", [True, False])
async def test_what_the_environment_gave_is_mended_there(
    tmp_path: Path, server: ModelServer, monkeypatch: pytest.MonkeyPatch, *, whole: bool
) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"llm": {"primary": {} if whole else spec(server.v1)}}), encoding="utf-8")
    wrong = spec(server.url)
    given = ("PRIMARY", json.dumps(wrong)) if whole else ("PRIMARY__BASE_URL", server.url)
    if whole:
        config.write_text("{}", encoding="utf-8")
    monkeypatch.setenv(f"ROLECALL_LLM__{given[0]}", given[1])
    ill = load_settings(config)
    (remedy,) = (await diagnose_roles(ill.settings, origin=ConfigOrigin(config, ill.sources))).remedies
    assert remedy.place == "the environment (llm.primary.base_url)"
    name, _, value = remedy.line.removeprefix("export ").partition("=")
    monkeypatch.setenv(name, value)
    well = load_settings(config)
    assert (await diagnose_roles(well.settings, origin=ConfigOrigin(config, well.sources))).remedies == ()
