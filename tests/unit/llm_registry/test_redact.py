"""Keys and private places are masked; ordinary words are not."""

from pathlib import Path

import pytest

from llm_registry.redact import pasteable, redact


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abc123def456",
        "wrong key sk-or-v1-0123456789abcdef given",
        '{"api_key": "0123456789abcdef"}',
        "api-key=0123456789abcdef&x=1",
        "http://ada:0123456789abcdef@nas:11434/v1",
        "http://0123456789abcdef@nas:11434/v1",
        "password: 0123456789abcdef",
        "token ghp_0123456789abcdef",
    ],
)
def test_what_looks_like_a_key_is_masked(text: str) -> None:
    masked = redact(text)
    assert "***" in masked
    assert "0123456789abcdef" not in masked
    assert "abc123def456" not in masked


@pytest.mark.parametrize(
    "text",
    [
        "request (5123 tokens) exceeds the available context size (4096 tokens)",
        "max_tokens: 4096",
        'the key is "${OPENROUTER_API_KEY}"',
        '"api_key": "${MY_KEY}"',
        "task-list of the basic set-up",
        "http://127.0.0.1:8080/v1",
        "not-needed",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert redact(text, ["not-needed", "x"]) == text


def test_a_configured_key_is_masked_whatever_it_looks_like() -> None:
    assert redact("I said swordfish!", ["swordfish"]) == "I said ***!"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("refused by http://nas/v1?k=0123456789 (HTTP 401)", "refused by http://nas/v1?*** (HTTP 401)"),
        ('"base_url": "https://nas/v1?0123456789"', '"base_url": "https://nas/v1?***"'),
        ("did you mean http://nas:8080/v1?", "did you mean http://nas:8080/v1?"),
        ("(is it http://nas:8080/v1?)", "(is it http://nas:8080/v1?)"),
    ],
)
def test_query_strings_are_not_pasted(text: str, shown: str) -> None:
    assert pasteable(text) == shown


def test_the_home_folder_becomes_a_tilde(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert pasteable("/home/ada/models/a.gguf, /home/ada, /home/adam/x") == "~/models/a.gguf, ~, /home/adam/x"
