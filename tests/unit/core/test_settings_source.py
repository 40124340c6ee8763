"""The settings as files, environment and command line give them."""

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from core.config.json_schema import schema_text
from core.config.loader import load_settings
from core.config.settings import ModelSpec, ToolSettings
from core.errors import ConfigError, Exit

TOP = Path(__file__).resolve().parents[3]
OLLAMA = {"provider": "ollama", "model": "q"}


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("ROLECALL_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def put(content: Any, name: str = "config.json") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return put


def spec_of(loaded: Any, role: str) -> ModelSpec:
    entry = loaded.settings.llm.__pydantic_extra__[role]
    assert isinstance(entry, ModelSpec)
    return entry


def test_command_line_beats_environment_beats_file_beats_defaults(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write({"budget": {"max_tokens": 1, "max_minutes": 1, "max_cost_usd": 1}})
    monkeypatch.setenv("ROLECALL_BUDGET__MAX_TOKENS", "2")
    monkeypatch.setenv("ROLECALL_BUDGET__MAX_MINUTES", "2")
    loaded = load_settings(path, overrides={"budget": {"max_tokens": 3}})
    budget = loaded.settings.budget
    assert (budget.max_tokens, budget.max_minutes, budget.max_cost_usd, budget.max_attempts) == (3, 2, 1, 3)
    assert loaded.sources == {
        "budget.max_tokens": "command line",
        "budget.max_minutes": "environment",
        "budget.max_cost_usd": str(path),
    }


def test_environment_reaches_into_roles_with_lists_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLECALL_CONFIG", "")
    monkeypatch.setenv("ROLECALL_LLM__PRIMARY__PROVIDER", "ollama")
    monkeypatch.setenv("ROLECALL_LLM__PRIMARY__FALLBACK", '["embedded"]')
    monkeypatch.setenv("ROLECALL_LLM__PRIMARY__TIMEOUTS__CONNECT", "1.5")
    spec = spec_of(load_settings(), "primary")
    assert (spec.provider, spec.fallback, spec.timeouts.connect) == ("ollama", ("embedded",), 1.5)


@pytest.mark.parametrize("place", ["variable", "user folder"])
def test_a_file_is_found_without_being_named(place: str, write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    content = {"budget": {"max_attempts": 7}}
    if place == "variable":
        monkeypatch.setenv("ROLECALL_CONFIG", str(write(content, "elsewhere.json")))
    else:
        write("budget:\n  max_attempts: 7\n", "xdg/rolecall/config.yaml")
    loaded = load_settings()
    assert loaded.settings.budget.max_attempts == 7
    assert loaded.path is not None


def test_the_current_folder_never_configures(write: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write({"budget": {"max_attempts": 7}}, "config.json")
    write({"budget": {"max_attempts": 7}}, "rolecall.json")
    monkeypatch.chdir(tmp_path)
    assert load_settings(repo=tmp_path).settings.budget.max_attempts == 3


def test_a_repository_configures_only_when_trusted(write: Any, tmp_path: Path) -> None:
    mine = write({"budget": {"max_attempts": 5, "max_replans": 4}}, "mine.json")
    write({"budget": {"max_attempts": 9}}, "repo/rolecall.json")
    repo = tmp_path / "repo"
    assert load_settings(mine, repo=repo).settings.budget.max_attempts == 5
    trusted = load_settings(mine, repo=repo, trust_project=True).settings.budget
    assert (trusted.max_attempts, trusted.max_replans) == (9, 4)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            {"llm": {"sumarizer": OLLAMA}},
            ["llm.sumarizer", "unknown role", "did you mean `summarizer`?", "config.json"],
        ),
        ({"llm": {"coder": {**OLLAMA, "contxt_length": 1}}}, ["llm.coder.contxt_length", "`context_length`"]),
        ({"llm": {"coder": {**OLLAMA, "timeouts": {"conect": 1}}}}, ["llm.coder.timeouts.conect", "`connect`"]),
        ({"llm": {"models": {"big": {**OLLAMA, "modle": 1}}, "coder": "big"}}, ["llm.models.big.modle", "`model`"]),
        ({"budgt": {}}, ["budgt", "`budget`"]),
        ({"budget": {"max_token": 1}}, ["budget.max_token", "`max_tokens`"]),
        ({"budget": {"max_tokens": -1}}, ["budget.max_tokens", "greater than 0"]),
        ({"llm": {"coder": "primry"}}, ["llm.coder", "'primry'", "`primary`"]),
        ({"llm": {"coder": {**OLLAMA, "fallback": ["embeded"]}}}, ["llm.coder.fallback", "`embedded`"]),
        ({"llm": {"coder": "primary", "primary": "coder"}}, ["circular", "coder -> primary -> coder"]),
        ({"llm": {"coder": 7}}, ["llm.coder", "int"]),
        ({"llm": []}, ["llm", "list"]),
        (
            {"llm": {"coder": {**OLLAMA, "context_length": "16k"}}},
            ["llm.coder.context_length: Input should be a valid integer", "config.json"],
        ),
        (
            {"llm": {"coder": {**OLLAMA, "options": {"num_ctx": "16k"}}}},
            ["llm.coder.options: num_ctx", "positive integer"],
        ),
        (
            {"llm": {"coder": {**OLLAMA, "options": {"threads": -3}}}},
            ["llm.coder.options: threads", "positive integer"],
        ),
        ({"llm": {"coder": {**OLLAMA, "options": {"slots": True}}}}, ["llm.coder.options: slots", "positive integer"]),
        ({"llm": {"coder": {**OLLAMA, "options": {"idle_s": "soon"}}}}, ["llm.coder.options: idle_s", "seconds"]),
        ({"llm": {"coder": {**OLLAMA, "options": {"headers": "X: 1"}}}}, ["llm.coder.options: headers", "object"]),
        ({"llm": {"coder": {**OLLAMA, "options": {"path": 7}}}}, ["llm.coder.options: path", "file"]),
        ({"tools": {"ask": {"role": "resaerch"}}}, ["tools.ask.role", "`research`"]),
        ([1], ["list"]),
        ('{"a": 1,\n  b}', ["line 2, column 3"]),
        ('{"a": 1, "a": 2}', ["'a'", "duplicated"]),
    ],
)
def test_what_is_wrong_is_named(write: Any, content: Any, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(write(content))
    assert caught.value.exit_code is Exit.CONFIG
    assert [word for word in words if word not in caught.value.message] == []


def test_a_part_of_a_role_lies_over_the_whole_role(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLECALL_LLM__CODER", '{"provider": "ollama", "model": "a", "options": {"num_ctx": 1024}}')
    monkeypatch.setenv("ROLECALL_LLM__CODER__MODEL", "b")
    monkeypatch.setenv("ROLECALL_LLM__CODER__OPTIONS__NUM_CTX", "4096")
    coder = load_settings(write({"llm": {"primary": OLLAMA}})).settings.llm.__pydantic_extra__["coder"]
    assert (coder.provider, coder.model, coder.options) == ("ollama", "b", {"num_ctx": 4096})


def test_options_of_the_environment_are_numbers(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLECALL_LLM__CODER__OPTIONS__NUM_CTX", "4096")
    loaded = load_settings(write({"llm": {"coder": {**OLLAMA, "options": {"num_ctx": 2048}}}}))
    coder = loaded.settings.llm.__pydantic_extra__["coder"]
    assert coder.options == {"num_ctx": 4096}


def test_yaml_errors_name_the_line(write: Any) -> None:
    with pytest.raises(ConfigError, match=r"line 3, column 2"):
        load_settings(write("llm:\n  coder: [1\nx: 2\n", "config.yaml"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--config names .*nowhere.json"):
        load_settings(tmp_path / "nowhere.json")


def test_a_misspelt_variable_is_refused(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLECALL_BUDGT__MAX_TOKENS", "1")
    with pytest.raises(ConfigError, match=r"ROLECALL_BUDGT__MAX_TOKENS.*`budget`"):
        load_settings(write({}))


def test_a_missing_variable_is_named_with_its_key(write: Any) -> None:
    path = write({"llm": {"coder": {**OLLAMA, "options": {"headers": {"X-Key": "Bearer ${NOT_SET_ANYWHERE}"}}}}})
    with pytest.raises(ConfigError, match=r"llm.coder.options.headers.X-Key.*NOT_SET_ANYWHERE"):
        load_settings(path)


def test_a_variable_is_read_anywhere_in_a_string(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS", "10.0.0.7")
    path = write({"llm": {"coder": {**OLLAMA, "base_url": "http://${NAS}:11434"}}})
    assert spec_of(load_settings(path), "coder").base_url == "http://10.0.0.7:11434"


def test_a_disabled_spec_needs_no_key(write: Any) -> None:
    path = write({"llm": {"research": {**OLLAMA, "api_key": "${NOT_SET_ANYWHERE}", "enabled": False}}})
    assert spec_of(load_settings(path), "research").enabled is False


def test_other_spellings_and_call_paths_are_accepted(write: Any) -> None:
    spec = {"provider": "openai_compatible", "id": "m", "endpoint": "http://h:1/v1/chat/completions"}
    read = spec_of(load_settings(write({"llm": {"primary": spec}})), "primary")
    assert (read.model, read.base_url) == ("m", "http://h:1/v1")


def test_tools_may_have_any_name_and_say_what_holds_for_them(write: Any) -> None:
    given = {"fetch_page": {"offered_to": ["coding"], "approval": "ask", "timeout_s": 20}, "ask": {}, "x": "primary"}
    settings = load_settings(write({"tools": given})).settings
    assert settings.tool("fetch_page") == ToolSettings(offered_to=("coder",), approval="ask", timeout_s=20)
    assert settings.tool("ask") == settings.tool("not named") == ToolSettings()
    assert settings.tool("x").role == "primary"


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"offered_to": ["codre"]}, ["tools.t.offered_to", "`coder`"]),
        ({"aproval": "ask"}, ["tools.t.aproval", "`approval`"]),
        ({"approval": "never"}, ["tools.t.approval"]),
        ({"timeout_s": 0}, ["tools.t.timeout_s"]),
    ],
)
def test_what_a_tool_may_not_say_is_named(write: Any, entry: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(write({"tools": {"t": entry}}))
    assert all(word in str(caught.value) for word in words)


def test_a_role_of_a_tool_may_have_any_name(write: Any) -> None:
    path = write({"llm": {"poet": OLLAMA}, "tools": {"ask": {"role": "poet"}}})
    assert spec_of(load_settings(path), "poet").model == "q"


@pytest.mark.parametrize("path", [TOP / "config.json", *sorted((TOP / "examples/configs").glob("*.json"))],
                         ids=lambda path: path.name)  # fmt: skip
def test_the_shipped_configurations_are_valid(path: Path) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(json.loads(schema_text())).validate(content)
    assert (path.parent / content["$schema"]).resolve() == TOP / "config.schema.json"
    assert load_settings(path).path == path


def test_the_schema_file_is_fresh() -> None:
    written = (TOP / "config.schema.json").read_text(encoding="utf-8")
    assert written == schema_text(), "run: python -m core.config.json_schema > config.schema.json"
