"""Names of files that usually hold secrets."""

import pytest

from core.secret_files import SecretFiles, looks_secret


@pytest.mark.parametrize("path", [
    ".env", "services/api/.env", ".env.production", "deploy/prod.env", "config/master.key", ".npmrc", "a/.pypirc",
    "id_ed25519", "keys/server.pem", ".aws/credentials", "home/.docker/config.json", "infra/prod.tfvars",
    "terraform.tfstate", "client_secret_12.json", "SECRETS.YML", ".ENV", ".envrc", ".netrc", "config/credentials.yml",
    ".env ", ".dev.vars", ".yarnrc.yml", ".vault_pass", "home/.m2/settings.xml", ".pyenv/.secret",
])  # fmt: skip
def test_a_file_that_usually_holds_secrets_is_hidden(path: str) -> None:
    assert looks_secret(path)
    assert SecretFiles().hides(path)


@pytest.mark.parametrize("path", [
    ".env.example", ".env.sample", "src/env.py", "credentials.py", "tests/certs/server.key", "id_rsa.pub", "keys.py",
    "docs/secrets.md", "package.json", "testdata/ca.pem", "environment.yml", "config.key.template",
])  # fmt: skip
def test_a_file_that_is_there_to_be_read_is_not_hidden(path: str) -> None:
    assert not looks_secret(path)


def test_what_the_user_shows_is_seen() -> None:
    shown = SecretFiles((".env.test", "config/master.key"))
    assert not shown.hides("a/b/.env.test")
    assert not shown.hides("config/master.key")
    assert shown.hides("other/master.key")
    assert shown.hidden_among(["a.py", ".env", ".env.test"]) == [".env"]
