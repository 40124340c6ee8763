"""What was asked for on the command line and holds for a thread as long as it lives, over all its runs."""

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from core.config.settings import BudgetSettings

_LIMITS = {"max_tokens": "max_tokens", "max_cost": "max_cost_usd", "max_minutes": "max_minutes"}
"""Option to setting."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Where the settings come from, and what goes over them."""

    config: str = ""
    """The whole path, since a thread may be resumed from another folder."""
    trust_project: bool = False
    supervise: bool = True
    limits: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def by(cls, options: Namespace) -> Self:
        """What a call says; options a command does not have count as not given."""
        config: Path | None = options.config
        given = {name: getattr(options, option, None) for option, name in _LIMITS.items()}
        return cls(
            config=str(config.expanduser().resolve()) if config else "",
            trust_project=options.trust_project,
            supervise=not getattr(options, "no_supervisor", False),
            limits={name: value for name, value in given.items() if value is not None},
        )

    @classmethod
    def remembered(cls, kept: Mapping[str, Any]) -> Self:
        """What was kept with a thread."""
        return cls(**{name: kept[name] for name in ("config", "trust_project", "supervise", "limits") if name in kept})

    def then(self, later: Self) -> Self:
        """This, with what a later call says on top."""
        return replace(
            self,
            config=later.config or self.config,
            trust_project=later.trust_project or self.trust_project,
            supervise=later.supervise and self.supervise,
            limits={**self.limits, **later.limits},
        )

    def kept(self) -> dict[str, Any]:
        """What to keep with the thread."""
        return asdict(self)

    def overrides(self) -> dict[str, Any]:
        """The settings that all of this stands for."""
        budget = {"budget": dict(self.limits)} if self.limits else {}
        return budget if self.supervise else {**budget, "supervisor": {"enabled": False}}


def raised(budget: "BudgetSettings") -> tuple[str, ...]:
    """Options that double the limits there are, minutes to one at least, so that a thread they stopped can go on."""
    limits = {option: getattr(budget, name) for option, name in _LIMITS.items()}
    given = {option: value * 2 for option, value in limits.items() if value is not None}
    if "max_minutes" in given:
        given["max_minutes"] = max(given["max_minutes"], 1)
    return tuple(f"--{option.replace('_', '-')}={_written(value)}" for option, value in given.items())


def _written(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(round(value, 6))
