"""What a process knows to be secret."""

from pathlib import Path

import pytest

from core.config.loader import load_settings
from core.config.settings import Settings
from core.known_secrets import known_secrets, redactor_of, unchecked_redactor


def test_keys_headers_and_addresses_of_the_settings_are_known() -> None:
    settings = Settings.model_validate({
        "llm": {"primary": {"provider": "openai_compatible", "model": "m", "api_key": "key-of-primary",
                            "base_url": "http://ada:pa%20ss@nas:1/v1?api_key=in-query",
                            "options": {"headers": {"X-Auth": "Token of-header"}}}},
        "telemetry": {"otlp_headers": {"x-key": "of-collector"}},
    })  # fmt: skip
    values = known_secrets(settings, {}).values()
    assert {"key-of-primary", "pa ss", "in-query", "Token of-header", "of-header", "of-collector"} <= set(values)


def test_the_environment_gives_what_its_names_call_secret() -> None:
    given = {"MY_API_KEY": "abcdef1", "DB": "postgres://u:hunter22@db/x", "PWD": "/home/ada", "LANG": "C.UTF-8"}
    assert known_secrets(Settings(), given) == {"MY_API_KEY": "abcdef1", "DB.password": "hunter22"}


CONFIG = """{
  "llm": {
    "primary": {"provider": "openai_compatible", "model": "m", "base_url": "http://me:pass-word-1@host/v1?api_key=query-2",
                "api_key": "${SOME_PLACE}", "options": {"headers": {"X-Auth": "Bearer header-3", "Accept": "text"}}},
    "coder": {"endpoint": "http://user-only-4@host/v1", "api_key": "plain-key-5"},
    "models": {"spare": {"provider": "ollama", "model": "s", "api_key": "named-key-6"}}
  },
  "telemetry": {"otlp_endpoint": "http://t:collector-7@host", "otlp_headers": {"x-key": "collector-8"}}
}"""
SECRETS = (
    "pass-word-1", "query-2", "header-3", "user-only-4", "plain-key-5", "named-key-6", "collector-7", "collector-8",
    "from-elsewhere-9", "role-key-10", "token-11",
)  # fmt: skip


def test_settings_that_nobody_validated_hide_the_same_under_the_same_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "c.json"
    config.write_text(CONFIG)
    monkeypatch.setenv("SOME_PLACE", "from-elsewhere-9")
    monkeypatch.setenv("ROLECALL_LLM__ROUTER", '{"base_url": "http://host/v1", "model": "r", "api_key": "role-key-10"}')
    monkeypatch.setenv("SOME_TOKEN", "token-11")
    text = " and ".join(SECRETS)
    validated = redactor_of(load_settings(config).settings)
    assert unchecked_redactor(config, None).clean(text) == validated.clean(text)
    assert not [secret for secret in SECRETS if secret in validated.clean(text)]


def test_a_file_that_cannot_be_read_stops_no_word_to_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "token-11")
    (tmp_path / "c.json").write_text("{")
    assert "token-11" not in unchecked_redactor(tmp_path / "c.json", tmp_path).clean("it is token-11")
