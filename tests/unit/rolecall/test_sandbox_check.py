"""The policy is told in the first lines: by the doctor and by a run."""

from pathlib import Path

from core.config.settings import SandboxSettings
from rolecall.output.event_text import event_line
from rolecall.service.setup import sandbox_policy
from tests.repositories import make_repository


async def test_the_doctor_tries_the_walls(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", {"a.txt": "a\n"})
    policy, holds = await sandbox_policy(SandboxSettings(), repo)
    assert holds
    assert policy.startswith("commands run in bubblewrap: no network")
    assert {path.name for path in repo.iterdir()} == {".git", "a.txt"}


async def test_the_doctor_says_how_to_get_walls(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    policy, holds = await sandbox_policy(SandboxSettings(), None)
    assert holds
    assert "WITHOUT isolation (bubblewrap is not installed; install bubblewrap)" in policy
    refused, may_begin = await sandbox_policy(SandboxSettings(require=True), None)
    assert not may_begin
    assert "sandbox.require requires bubblewrap" in refused


def test_a_run_tells_it_in_its_second_line() -> None:
    told = event_line("run_started", {"task": "x", "branch": "b", "sandbox": "commands run on the host"}, steps={})
    assert told is not None
    assert told.splitlines()[1].split(maxsplit=1) == ["sandbox", "commands run on the host"]
