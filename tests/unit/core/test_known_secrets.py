"""What a process knows to be secret."""

from core.config.settings import Settings
from core.known_secrets import known_secrets


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
