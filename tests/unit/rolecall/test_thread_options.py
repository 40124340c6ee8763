from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from core.config.settings import BudgetSettings
from core.threads import ThreadOptions
from rolecall.thread_options import asked, raised


def options(**given: Any) -> Namespace:
    nothing = {"config": None, "trust_project": False, "max_tokens": None, "max_cost": None, "max_minutes": None}
    return Namespace(**{**nothing, "no_supervisor": False, **given})


def test_what_was_asked_once_holds_when_the_thread_is_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    begun = asked(options(config=Path("mine.json"), max_tokens=500, max_minutes=2.5, no_supervisor=True))

    again = ThreadOptions.model_validate({**begun.model_dump(), "checks": ["true"]}).then(
        asked(options(max_tokens=900))
    )

    assert again.config == str(tmp_path / "mine.json")
    assert again.overrides() == {
        "budget": {"max_tokens": 900, "max_minutes": 2.5}, "supervisor": {"enabled": False},
    }  # fmt: skip


def test_what_was_not_asked_for_overrides_nothing() -> None:
    assert asked(options()).overrides() == {}
    assert ThreadOptions.model_validate({"checks": [], "of_a_later_version": 1}) == ThreadOptions()


def test_a_limit_named_on_the_command_line_is_that_of_the_settings() -> None:
    given = asked(options(max_tokens=1, max_cost=0.5, max_minutes=2)).overrides()["budget"]

    assert BudgetSettings(**given).max_cost_usd == 0.5


def test_limits_are_doubled_in_a_form_the_command_line_reads() -> None:
    budget = BudgetSettings(max_tokens=3_000_000, max_minutes=2.25, max_cost_usd=1.05)

    assert raised(budget) == ("--max-tokens=6000000", "--max-cost=2.1", "--max-minutes=4.5")
    assert raised(BudgetSettings(max_minutes=0.1)) == ("--max-minutes=1",)
    assert raised(BudgetSettings()) == ()
