"""Repositories that are not all UTF-8: sources in Latin-1, names of files that are bytes."""

import os
import subprocess
import sys
from pathlib import Path

from core.text import readable
from tests.integration.jobs import SLUGIFY, SLUGS, do, openai, settings_with, state_of
from tests.modelserver.competent import CompetentScript, Step
from tests.modelserver.reply import Reply, say
from tests.modelserver.request import ModelRequest
from tests.modelserver.server import ModelServer
from tests.repositories import git, make_repository

OLD = "# -*- coding: latin-1 -*-\nNAME = 'caf\xe9'\nSIZE = 1\n".encode("latin-1")
ODD_NAME = os.fsdecode(b"caf\xe9.txt")


async def test_a_source_in_latin_1_is_changed_and_its_diff_applies(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", {**SLUGS, "slugs/old.py": OLD})
    steps = [Step(title="Grow", edits={"slugs/old.py": [("NAME = 'café'\nSIZE = 1", "NAME = 'café'\nSIZE = 2")]})]
    with ModelServer(CompetentScript(steps=steps)) as server:
        outcome = await do(repo, "Make it larger", settings_with(openai(server.v1)))
        assert server.errors == []
    assert (outcome.status, outcome.exit_code) == ("done", 0)
    command = [sys.executable, "-m", "rolecall", "diff", outcome.thread_id, "--repo", str(repo)]
    piped = subprocess.run(command, capture_output=True, check=True)
    (tmp_path / "piped.patch").write_bytes(piped.stdout)
    for patch in (Path(outcome.diff_path), tmp_path / "piped.patch"):
        git(repo, "apply", str(patch))
        assert (repo / "slugs/old.py").read_bytes() == OLD.replace(b"SIZE = 1", b"SIZE = 2")
        git(repo, "checkout", "--", ".")


async def test_names_that_are_no_utf_8_stop_nothing(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", {**SLUGS, ODD_NAME: b"x\n"})
    steps = [Step(title="Write", files=SLUGIFY, commands=["printf x > $'th\\xe9.txt'"])]
    with ModelServer(CompetentScript(steps=steps)) as server:
        outcome = await do(repo, "Add a function slugify with tests", settings_with(openai(server.v1)))
        assert server.errors == []
    assert (outcome.status, outcome.exit_code) == ("done", 0)
    (result,) = (await state_of(repo, outcome.thread_id))["step_results"]
    assert "th\N{REPLACEMENT CHARACTER}.txt" in result.files
    assert os.fsencode("th") + b"\xe9.txt" in subprocess.run(
        ["git", "ls-tree", "-z", "--name-only", outcome.branch], cwd=repo, capture_output=True, check=True
    ).stdout.split(b"\0")  # fmt: skip


async def test_half_a_character_and_a_flood_of_words_of_a_model_stop_nothing(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    competent = CompetentScript(files=SLUGIFY)

    def wordy(request: ModelRequest) -> Reply:
        reply = competent(request)
        return (
            say("Done \ud83d " + "and so on " * 5000)
            if "write_file" in request.tool_names and not reply.tool_calls
            else reply
        )

    with ModelServer(wordy) as server:
        outcome = await do(repo, "Add a function slugify with tests", settings_with(openai(server.v1)))
    assert (outcome.status, outcome.exit_code) == ("done", 0)
    (result,) = (await state_of(repo, outcome.thread_id))["step_results"]
    assert result.text.startswith("Done \N{REPLACEMENT CHARACTER}")
    assert len(result.text) <= 2100


def test_text_is_made_readable() -> None:
    assert readable("a\ud83d\ude00b\ud83d") == "a\N{GRINNING FACE}b\N{REPLACEMENT CHARACTER}"
    assert readable(os.fsdecode(b"caf\xe9 \xff\xfe")) == "caf\ufffd \ufffd\ufffd"
    assert readable("päper \N{GRINNING FACE}") == "päper \N{GRINNING FACE}"
