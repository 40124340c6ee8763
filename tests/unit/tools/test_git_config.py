"""What is taken over from a git configuration, and what is known from it to be secret."""

from pathlib import Path

import pytest

from core.errors import RepositoryError
from tests.repositories import git, make_repository
from tools.git.command import Git
from tools.git.config import GitConfig


async def test_tokens_in_the_configuration_are_known_to_be_secret(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", {"a": "a"})
    git(repo, "remote", "add", "origin", "https://ada:s3cr%40t-word@git.example.org/x.git")
    git(repo, "config", "http.https://git.example.org/.extraHeader", "Authorization: Basic QWxhZGRpbjpvcGVu")
    git(repo, "config", "url.https://lone-token-7@git.example.org/.insteadOf", "x:")
    found = (await Git(repo).config()).secrets()
    assert set(found.values()) == {"s3cr@t-word", "QWxhZGRpbjpvcGVu", "lone-token-7"}


def test_only_known_settings_are_taken_over(tmp_path: Path) -> None:
    listed = 'core.autocrlf\ninput\0core.sshcommand\nevil\0filter.x.clean\nevil\0user.name\nA "B"\\\0core.editor\nvi\0'
    own = GitConfig(listed).own_config(tmp_path)
    assert 'autocrlf = "input"' in own
    assert 'name = "A \\"B\\"\\\\"' in own
    assert "evil" not in own


def test_a_name_that_cannot_be_turned_off_is_refused() -> None:
    with pytest.raises(RepositoryError, match="equals sign"):
        GitConfig("filter.a=b.clean\nevil\0").programs_off()
