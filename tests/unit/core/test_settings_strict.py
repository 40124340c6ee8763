"""Nothing in a configuration is lost, endless or somebody else's without a word."""

import json
import os
from itertools import pairwise
from pathlib import Path

import pytest

from core.config.loader import load_settings
from core.errors import ConfigError
from tests.unit.rolecall.command_line import rolecall

TOKEN = "hidden-" + "0123456789"


@pytest.fixture(autouse=True)
def no_other_source(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("ROLECALL_") and name != "ROLECALL_STATE_DIR":
            monkeypatch.delenv(name)


def config(folder: Path, text: str, name: str = "config.json") -> Path:
    path = folder / name
    path.write_text(text)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("c.json", '{\n "budget": {"max_tokens": 1},\n "budget": {}}', "line 3, column 2"),
        ("c.json", '{"budget": {"max_tokens": 1,\n  "max_tokens": 2}}', "line 2, column 3"),
        ("c.json", '{"llm": {"models": {"a\\"{": {}}}, "x": [{"k": 1}, {"k": 1,\n"k": 2}]}', "line 2, column 1"),
        ("c.yaml", "budget:\n  max_tokens: 1\nbudget: {}\n", "line 3, column 1"),
        ("c.yaml", "budget:\n  max_tokens: 1\n  max_tokens: 2\n", "line 3, column 3"),
        ("c.yaml", "budget: {max_tokens: 1, 'max_tokens': 2}\n", "line 1, column 25"),
    ],
)
def test_a_key_given_twice_is_named_with_its_place(tmp_path: Path, name: str, text: str, place: str) -> None:
    with pytest.raises(ConfigError, match="is duplicated in one object") as caught:
        load_settings(config(tmp_path, text, name))
    assert place in caught.value.message


def test_merged_yaml_is_no_key_given_twice(tmp_path: Path) -> None:
    text = "llm:\n  models:\n    a: {<<: {provider: ollama}, provider: scripted}\n"
    assert load_settings(config(tmp_path, text, "c.yaml")).settings.llm.models["a"].provider == "scripted"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize(
    "text",
    [
        '{"sandbox": {"command_timeout_s": %s}}', '{"budget": {"max_cost_usd": %s}}',
        '{"llm": {"primary": {"provider": "scripted", "options": {"extra_body": {"x": [%s]}}}}}',
    ],
)  # fmt: skip
def test_no_number_is_endless(tmp_path: Path, text: str, number: str) -> None:
    with pytest.raises(ConfigError):
        load_settings(config(tmp_path, text % number))


@pytest.mark.parametrize("number", ["nan", "inf"])
def test_no_number_of_the_environment_or_the_command_line_is_endless(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: str
) -> None:
    with pytest.raises(ConfigError, match="max_minutes"):
        load_settings(config(tmp_path, "{}"), overrides={"budget": {"max_minutes": float(number)}})
    with pytest.raises(ConfigError):
        load_settings(config(tmp_path, f"sandbox: {{command_timeout_s: .{number}}}\n", "c.yaml"))
    monkeypatch.setenv("ROLECALL_SANDBOX__COMMAND_TIMEOUT_S", number)
    with pytest.raises(ConfigError, match="command_timeout_s"):
        load_settings(config(tmp_path, "{}"))


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("ROLECALL_LLM__PRIMARY", '{"provider": "ollama", "api_key": "%s"'),
        ("ROLECALL_LLM", '{"primary": {"api_key": "%s"'),
        ("ROLECALL_LLM__PRIMARY__OPTIONS", '{"headers": {"x": "%s"'),
        ("ROLECALL_TELEMETRY__OTLP_HEADERS", '{"x": "%s"'),
        ("ROLECALL_TELEMETRY", '{"otlp_headers": {"x": "%s"'),
        ("ROLECALL_LLM__PRIMARY", '{"provider": "a", "api_key": "%s", "api_key": "b"}'),
        ("ROLECALL_TELEMETRY", '{"otlp_headers": {"x": "%s", "x": "y"}}'),
    ],
)
def test_broken_json_of_the_environment_is_told_and_not_quoted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, text: str
) -> None:
    monkeypatch.setenv(variable, text % TOKEN)
    with pytest.raises(ConfigError) as caught:
        load_settings(config(tmp_path, "{}"))
    assert TOKEN not in caught.value.message + caught.value.hint
    assert variable.removeprefix("ROLECALL_").split("__")[0].lower() in caught.value.message or "duplicated" in str(
        caught.value
    )


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_repository_is_trusted_with_a_plain_file_only(tmp_path: Path, kind: str) -> None:
    (tmp_path / "repo").mkdir()
    place = tmp_path / "repo" / "rolecall.json"
    own = config(tmp_path, "{}")
    if kind == "link":
        place.symlink_to(own)
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        place.mkdir()
    with pytest.raises(ConfigError, match="so it is not read"):
        load_settings(own, repo=tmp_path / "repo", trust_project=True)
    load_settings(own, repo=tmp_path / "repo")


def test_a_configuration_others_can_change_is_told_of(tmp_path: Path) -> None:
    path = config(tmp_path, "{}")
    assert load_settings(path).warnings == ()
    path.chmod(0o646)
    (said,) = load_settings(path).warnings
    assert "every user of this machine" in said
    done = rolecall("config", "validate", "--config", str(path), cwd=tmp_path)
    assert (done.code, said in done.err) == (0, True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_configuration_of_another_user_is_told_of(tmp_path: Path) -> None:
    path = config(tmp_path, "{}")
    os.chown(path, 12345, 12345)
    assert "another user (uid 12345)" in load_settings(path).warnings[0]


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_config_show_hides_every_secret(tmp_path: Path, words: tuple[str, ...]) -> None:
    secrets = [f"{TOKEN}-{at}" for at in range(9)]
    spec = {
        "provider": "openai_compatible", "model": "m", "base_url": f"http://ada:{secrets[0]}@127.0.0.1:9/v1",
        "api_key": secrets[1], "options": {"headers": {"X-Whatever": secrets[2], "User-Agent": "me"},
                                           "extra_body": {"user_token": secrets[3], "deep": [{"my_key": secrets[4]}],
                                                          "auth": {"user": [secrets[8]]}}},
    }  # fmt: skip
    text = {
        "llm": {"primary": spec, "coder": {**spec, "api_key": "ab1", "model": f"x-{secrets[5]}"}},
        "telemetry": {"otlp_headers": {"x-honey": secrets[6]}, "otlp_endpoint": f"http://127.0.0.1:9/?t={secrets[7]}"},
    }
    path = config(tmp_path, json.dumps(text))
    env = {"SOME_TOKEN": secrets[5]}
    done = rolecall("config", "show", "--config", str(path), *words, cwd=tmp_path, env=env)
    assert done.code == 0, done.err
    assert TOKEN not in done.out + done.err
    assert '"ab1"' not in done.out
    assert '"me"' in done.out


LAUGHS = "".join(f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in pairwise("abcdefghi"))


@pytest.mark.parametrize("text", [f"a: &a [x, x]\n{LAUGHS}sandbox: *i\n", "sandbox: &a [*a]\n"])
def test_aliases_that_unfold_without_bounds_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="its aliases expand to more than 100,000 values"):
        load_settings(config(tmp_path, text, "c.yaml"))


@pytest.mark.parametrize("url", ["foo", "ftp://x/v1", "localhost:11434/v1"])
def test_an_address_without_a_scheme_is_refused(tmp_path: Path, url: str) -> None:
    spec = {"provider": "openai_compatible", "model": "m", "base_url": url}
    with pytest.raises(ConfigError, match="an address must start with http://"):
        load_settings(config(tmp_path, json.dumps({"llm": {"primary": spec}})))
