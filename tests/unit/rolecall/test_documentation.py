"""The page on the command line tells of everything there is."""

from typing import get_args

import pytest

from core.errors import Exit
from core.events import EventName
from rolecall.cli import COMMANDS
from tests.unit.rolecall.command_line import HOUSE


@pytest.fixture(scope="module")
def page() -> str:
    return (HOUSE / "docs" / "command-line.md").read_text(encoding="utf-8")


def test_every_command_is_told_of(page: str) -> None:
    assert [name for name in COMMANDS if f"| `rolecall {name}" not in page] == []


def test_every_exit_code_is_told_of(page: str) -> None:
    assert [code for code in Exit if f"\n| {int(code)} | " not in page] == []


def test_every_event_is_told_of(page: str) -> None:
    assert [name for name in get_args(EventName) if f"`{name}`" not in page] == []
