"""The debug log of a run: what goes into it, what does not, and what happens where it cannot be written."""

import asyncio
import logging
import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from core.redaction import Redactor
from graph.store import debug_log as module
from graph.store.debug_log import MAX_BYTES, OLDER_FILES, debug_log, logging_as
from rolecall.output.verbose import verbose_logging

OURS = logging.getLogger("tools.somewhere")
THREAD, OTHER = "a" * 8, "b" * 8
NAMED = "a-key-of-no-known-form"
TOKEN = "ghp_" + "a1B2" * 9


def kept(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_words_of_ours_and_of_libraries_are_kept_at_a_sensible_level(tmp_path: Path) -> None:
    path = tmp_path / "debug.log"
    with debug_log(path, THREAD, Redactor()):
        OURS.debug("a detail")
        logging.getLogger("httpx").info("HTTP Request: POST http://h/v1?key=word 200")
        logging.getLogger("openai._base_client").setLevel(logging.DEBUG)
        logging.getLogger("openai._base_client").debug("Request options: %s", {"json_data": "the prompt"})
        logging.getLogger("somebody").info("chatter")
        logging.getLogger("somebody").warning("a warning")
    logging.getLogger("openai._base_client").setLevel(logging.NOTSET)
    OURS.error("after the run")
    assert [line.split(": ", 1)[1] for line in kept(path).splitlines()] == [
        "a detail", "HTTP Request: POST http://h/v1?*** 200", "a warning",
    ]  # fmt: skip
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_secrets_are_hidden_in_messages_and_tracebacks(tmp_path: Path) -> None:
    path = tmp_path / "debug.log"
    with debug_log(path, THREAD, Redactor({"MY_KEY": NAMED})):
        try:
            raise ValueError(f"refused: {NAMED} and {TOKEN}")
        except ValueError:
            OURS.warning("with %s, Authorization: Bearer abcdef123456", NAMED, exc_info=True)
    text = kept(path)
    assert NAMED not in text
    assert TOKEN not in text
    assert "abcdef123456" not in text
    assert "Traceback (most recent call last)" in text
    assert "refused: [secret:MY_KEY] and [secret:github_token:" in text


def test_nobody_can_forge_a_line_or_drive_the_terminal_of_a_reader(tmp_path: Path) -> None:
    path = tmp_path / "debug.log"
    with debug_log(path, THREAD, Redactor()):
        OURS.info("one\n2026-01-01 00:00:00.000 ERROR   core: forged\x1b[2J\ud800")
    first, second = kept(path).splitlines()
    assert second.startswith("    2026-01-01")
    assert "\x1b" not in first + second


async def test_runs_in_one_process_write_each_into_its_own_file(tmp_path: Path) -> None:
    async def run(name: str) -> None:
        with debug_log(tmp_path / name, name, Redactor()):
            for number in range(3):
                OURS.info("%s %d", name, number)
                await asyncio.to_thread(OURS.info, "%s thread", name)

    await asyncio.gather(run(THREAD), run(OTHER))
    for name, other in ((THREAD, OTHER), (OTHER, THREAD)):
        assert kept(tmp_path / name).count(name) == 6
        assert other not in kept(tmp_path / name)


def test_a_task_that_was_not_begun_by_the_run_can_log_for_it(tmp_path: Path) -> None:
    with debug_log(tmp_path / "log", THREAD, Redactor()), logging_as(OTHER, Redactor()):
        OURS.info("for another")
        with logging_as(THREAD, Redactor()):
            OURS.info("for this one")
    assert "for this one" in kept(tmp_path / "log")
    assert "for another" not in kept(tmp_path / "log")


def test_the_files_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 10_000)
    with debug_log(tmp_path / "debug.log", THREAD, Redactor()):
        OURS.info("x" * 300_000)
        for number in range(500):
            OURS.info("%d %s", number, "y" * 200)
    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files] == ["debug.log", *(f"debug.log.{n}" for n in range(1, OLDER_FILES + 1))]
    assert sum(path.stat().st_size for path in files) <= 10_000 * (OLDER_FILES + 1)
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert MAX_BYTES * (OLDER_FILES + 1) <= 10_000_000


@contextmanager
def full_disk() -> Iterator[None]:
    """Let nobody in this process write another byte into a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("how", ["full", "gone", "link", "pipe"])
def test_a_log_that_cannot_be_written_costs_only_its_lines(
    how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run" / "debug.log"
    if how != "gone":
        path.parent.mkdir()
    if how == "link":
        path.symlink_to(tmp_path / "elsewhere")
    if how == "pipe":
        os.mkfifo(path)
    with debug_log(path, THREAD, Redactor()), full_disk() if how == "full" else nullcontext():
        OURS.info("one")
        OURS.info("two")
    assert not (tmp_path / "elsewhere").exists()
    assert capsys.readouterr() == ("", "")


def test_what_could_not_be_written_is_counted_once_it_can_be_again(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with debug_log(folder / "debug.log", THREAD, Redactor()):
        OURS.info("lost")
        folder.mkdir()
        OURS.info("kept")
    assert "lost" not in kept(folder / "debug.log")
    assert "1 records before this one could not be written" in kept(folder / "debug.log")


def test_others_who_listen_hear_warnings_only_and_loggers_are_left_as_they_were(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with debug_log(tmp_path / "debug.log", THREAD, Redactor()):
        OURS.debug("for the file")
        OURS.warning("for everybody")
    assert [record.getMessage() for record in caplog.records] == ["for everybody"]
    top = logging.getLogger("tools")
    assert (top.handlers, top.propagate, top.level) == ([], True, logging.NOTSET)


@pytest.mark.parametrize(("level", "words"), [(1, ["news"]), (2, ["detail", "news"])])
def test_the_screen_shows_as_much_as_was_asked_for(
    level: int, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with verbose_logging(level), debug_log(tmp_path / "debug.log", THREAD, Redactor({"MY_KEY": NAMED})):
        OURS.debug("detail")
        OURS.info("news")
        OURS.info("key %s", NAMED) if level == 2 else None
    shown = capsys.readouterr()
    assert shown.out == ""
    assert [word for word in ("detail", "news") if word in shown.err] == words
    assert NAMED not in shown.err
    assert os.linesep in shown.err
