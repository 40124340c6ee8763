"""Keys and private places are masked; ordinary words are not."""

import base64
import json
import time
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from core import redaction
from core.redaction import Redactor, redact, redact_for_sharing


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
    assert redact_for_sharing(text) == shown


def test_the_home_folder_becomes_a_tilde(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert redact_for_sharing("/home/ada/models/a.gguf, /home/ada, /home/adam/x") == "~/models/a.gguf, ~, /home/adam/x"


TOKENS = {
    "aws_access_key": "AKIA" + "IOSFODNN7EXAMPLE",
    "github_token": "ghp_" + "a1B2" * 9,
    "gitlab_token": "glpat-" + "x9_" * 8,
    "slack_token": "xoxb-" + "123456789012-abcdef",
    "openai_key": "sk-proj-" + "aB3" * 10,
    "google_key": "AIza" + "Sy0123456789abcdefghijklmnopqrstuvw",
    "stripe_key": "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "huggingface_token": "hf_" + "aB3d" * 9,
    "npm_token": "npm_" + "aB3d" * 9,
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
    "private_key": "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----",
}


@pytest.mark.parametrize(("kind", "token"), TOKENS.items())
def test_a_token_is_hidden_by_its_form_and_comes_back_when_written(kind: str, token: str) -> None:
    source = f'KEY = "{token}"\nx = 1\n'
    shown = Redactor().clean(source)
    assert token not in shown
    assert f"[secret:{kind}:" in shown
    assert Redactor().restore(shown.replace("x = 1", "x = 2"), source) == source.replace("x = 1", "x = 2")


@pytest.mark.parametrize("text", [
    "token = lexer.next()", "password: str = field()", "sk-learn is a library", "git@github.com:a/b.git",
    "http://127.0.0.1:8080/v1", "the risk-averse desk-top", "def f(key='value'): ...", "https://user@host/x",
    "postgresql://${USER}:${PASSWORD}@db/x",
])  # fmt: skip
def test_source_code_is_left_as_it_is(text: str) -> None:
    assert Redactor().clean(text) == text


@pytest.mark.parametrize("around", ["", "x", "xy", "xyz"])
def test_a_known_secret_is_hidden_in_every_encoding(around: str) -> None:
    secret = "p@ss w/rd+é?7"
    redactor = Redactor({"MY_KEY": secret})
    data = f"{around}{secret}{around}".encode()
    for text in (
        data.decode(), quote(data, safe=""), base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode(),
        data.hex(), data.hex().upper(), json.dumps(data.decode()), quote_plus(data),
    ):  # fmt: skip
        assert "[secret:MY_KEY]" in redactor.clean(text), text


def test_each_form_has_its_cue_and_ordinary_source_is_passed_over_quickly() -> None:
    assert set(redaction._CUES) == set(redaction._TOKENS)
    text = "def add(a, b):\n    return a + b  # http is asked for a token, see sk and key\n" * 5000
    started = time.process_time()
    assert Redactor({"MY_KEY": "correct horse"}).clean(text) == text
    assert time.process_time() - started < 0.3


def test_a_word_that_stands_for_no_key_is_no_secret() -> None:
    assert Redactor({"k": "not-needed", "short": "x"}).clean("not-needed x") == "not-needed x"
