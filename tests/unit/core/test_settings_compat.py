"""Configurations in other spellings, as people already have them."""

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from core.config.json_schema import schema_text
from core.config.loader import LoadedSettings, load_settings
from core.config.settings import ModelSpec, Settings
from core.errors import ConfigError

SPEC = {"id": "m", "endpoint": "http://127.0.0.1:1/v1"}
REMOTE = {"provider": "openrouter", "model": "vendor/m", "api_key": "${NO_SUCH_KEY}"}


def loaded(content: Mapping[str, Any] | str, folder: Path) -> LoadedSettings:
    text = content if isinstance(content, str) else json.dumps(content)
    path = folder / ("config.yaml" if isinstance(content, str) else "config.json")
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return load_settings(path)


def entries(settings: Settings) -> dict[str, Any]:
    return dict(settings.llm.__pydantic_extra__ or {})


@pytest.mark.parametrize("written", ["yaml", "json"])
def test_a_map_of_models_with_their_roles_loads_as_it_is(written: str, tmp_path: Path) -> None:
    models = {
        "big": {"id": "Qwen3-8B", "role": "primary", "endpoint": "http://127.0.0.1:5000/v1/chat/completions",
                "context_length": 32768, "quantization": "8bit", "max_concurrency": 1},
        "code": {"id": "coder-7b", "role": "coding", "endpoint": "http://127.0.0.1:5001/v1", "context_length": 16384,
                 "quantization": 4, "max_concurrency": 2},
        "think": {"id": "r1", "role": "reasoning", "endpoint": "http://127.0.0.1:5001/v1", "quantization": None,
                  "max_concurrency": None},
        "summarizer": {"id": "tiny", "role": "summarizer", "endpoint": "http://127.0.0.1:5002/v1"},
    }  # fmt: skip
    rows = "\n".join(f"  {name}: {json.dumps(spec)}" for name, spec in models.items())
    settings = loaded(f"models:\n{rows}\n" if written == "yaml" else {"models": models}, tmp_path).settings
    given = entries(settings)
    assert (given["primary"], given["coder"], given["reasoning"]) == ("big", "code", "think")
    big = settings.llm.models["big"]
    assert (big.provider, big.model, big.base_url) == ("openai_compatible", "Qwen3-8B", "http://127.0.0.1:5000/v1")
    assert (big.context_length, big.quantization, big.max_concurrency) == (32768, "8bit", 1)
    assert (settings.llm.models["code"].quantization, settings.llm.models["think"].quantization) == ("4", "")
    assert given["summarizer"].model == "tiny"


def test_without_a_primary_the_thinking_model_is_it_and_models_of_one_role_stand_in_for_one_another(
    tmp_path: Path,
) -> None:
    models = {
        "coding": {**SPEC, "role": "coding"},
        "spare": {**SPEC, "role": "coding"},
        "thinker": {**SPEC, "role": "reasoning"},
    }
    settings = loaded({"models": models}, tmp_path).settings
    given = entries(settings)
    assert (given["primary"], given["reasoning"]) == ("thinker", "thinker")
    assert (given["coder"].model, given["coder"].fallback) == ("m", ("spare",))


def test_coding_is_the_coder_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLECALL_LLM__CODING__MODEL", "other")
    llm = {"coding": SPEC, "reasoning": "coding", "primary": {**SPEC, "fallback": ["coding"]}}
    settings = loaded({"llm": llm, "tools": {"ask": "coding"}}, tmp_path).settings
    given = entries(settings)
    assert (given["coder"].model, given["reasoning"], given["primary"].fallback) == ("other", "coder", ("coder",))
    assert settings.tool("ask").role == "coder"
    with pytest.raises(ConfigError, match=r"the same role as llm\.coder"):
        loaded({"llm": {"coding": SPEC, "coder": SPEC}}, tmp_path)


@pytest.mark.parametrize(
    ("tool", "role"),
    [("small", "small"), ({"model": "small"}, "small"), ({"model": "tiny-1b"}, "small"), ({"model": "vendor/m"},
     "research"), ({"role": "summarizer"}, "summarizer")],
)  # fmt: skip
def test_a_tool_names_a_role_or_a_model(tool: Any, role: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_SUCH_KEY", "x")
    llm = {"primary": SPEC, "research": REMOTE, "models": {"small": {**SPEC, "id": "tiny-1b"}}}
    content = {"llm": llm, "tools": {"ask": tool}}
    assert loaded(content, tmp_path).settings.tool("ask").role == role
    jsonschema.Draft202012Validator(json.loads(schema_text())).validate(content)


@pytest.mark.parametrize(
    "unused",
    [{"research": REMOTE}, {"models": {"spare": REMOTE}}, {"research": "spare", "models": {"spare": REMOTE}}],
)
def test_an_unset_variable_of_what_nothing_uses_is_a_warning(unused: dict[str, Any], tmp_path: Path) -> None:
    found = loaded({"llm": {"primary": SPEC, **unused}}, tmp_path)
    (said,) = found.warnings
    assert "the environment variable NO_SUCH_KEY is not set" in said
    assert "nothing uses it" in said
    given = [*entries(found.settings).values(), *found.settings.llm.models.values()]
    assert [spec.enabled for spec in given if isinstance(spec, ModelSpec) and spec.provider == "openrouter"] == [False]


@pytest.mark.parametrize(
    "used",
    [
        {"llm": {"primary": REMOTE}},
        {"llm": {"primary": {**SPEC, "fallback": ["research"]}, "research": REMOTE}},
        {"llm": {"primary": SPEC, "research": REMOTE}, "tools": {"deep_research": "research"}},
        {"llm": {"primary": SPEC, "research": REMOTE}, "tools": {"ask": {"model": "vendor/m"}}},
        {"llm": {"primary": SPEC, "coder": "spare", "models": {"spare": REMOTE}}},
        {"llm": {"primary": SPEC, "supervisor": REMOTE}},
    ],
)
def test_an_unset_variable_of_what_is_used_is_an_error(used: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the environment variable NO_SUCH_KEY is not set"):
        loaded(used, tmp_path)


def test_a_supervisor_that_is_off_needs_no_key(tmp_path: Path) -> None:
    content = {"llm": {"primary": SPEC, "supervisor": REMOTE}, "supervisor": {"enabled": False}}
    assert len(loaded(content, tmp_path).warnings) == 1


def test_a_place_for_checkpoints_that_is_not_supported_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"checkpoint\.url: other locations are not supported yet"):
        loaded({"checkpoint": {"url": "postgresql://h/db"}}, tmp_path)
