"""What a command line's options request for a thread, and how to raise its limits."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from core.threads import ThreadOptions

if TYPE_CHECKING:
    from core.config.settings import BudgetSettings

_LIMITS = {"max_tokens": "max_tokens", "max_cost": "max_cost_usd", "max_minutes": "max_minutes"}
"""Option to setting."""


def repo_of(options: Namespace) -> Path:
    """The directory a call is about: `--repo`, or the current one."""
    return Path(options.repo or Path())


def asked(options: Namespace) -> ThreadOptions:
    """What a call requests; options a command does not have count as not given."""
    config: Path | None = options.config
    given = {name: getattr(options, option, None) for option, name in _LIMITS.items()}
    return ThreadOptions(
        config=str(config.expanduser().resolve()) if config else "",
        trust_project=options.trust_project,
        supervise=not getattr(options, "no_supervisor", False),
        limits={name: float(value) for name, value in given.items() if value is not None},
        checks=list(getattr(options, "checks", ())),
        models=dict(getattr(options, "model", ())),
    )


def raised(budget: "BudgetSettings") -> tuple[str, ...]:
    """Options that double the existing limits, to at least one minute, so that a thread they stopped can continue."""
    limits = {option: getattr(budget, name) for option, name in _LIMITS.items()}
    given = {option: value * 2 for option, value in limits.items() if value is not None}
    if "max_minutes" in given:
        given["max_minutes"] = max(given["max_minutes"], 1)
    return tuple(f"--{option.replace('_', '-')}={_written(value)}" for option, value in given.items())


def _written(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(round(value, 6))
