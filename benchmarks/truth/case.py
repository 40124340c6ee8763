"""What a run is made of. The runs themselves, as data, are in `cases` and `broken_off`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.integration.jobs import SLUGIFY, SLUGS
from tests.modelserver.competent import CompetentScript
from tests.modelserver.reply import Reply
from tests.modelserver.script import Script

Act = tuple[str, ...]
"""Something done while the command runs, one after the other:

`("asked", TITLE)`: wait until a model was asked for an object of this title, `""` for words or tools;
`("see", TEXT)`: wait until the command has said this;
`("type", KEYS)`, `("signal", NAME)`: to the command;
`("call", *WORDS)`: another command, `{thread}` stands for the thread;
`("server", "down" | "up")`: the server;
`("sleep", SECONDS)`.
"""

MADE = CompetentScript(files=SLUGIFY)
"""Adds `slugify` to the repository, with its test."""
PYTEST = "python -m pytest -q"


@dataclass(frozen=True, slots=True)
class Drive:
    """One call that drives the thread, and what happens meanwhile."""

    words: tuple[str, ...] = ()
    """Options; a later call than the first is a `resume`, unless the first word is another command."""
    acts: Sequence[Act] = ()
    manner: Literal["plain", "screen", "json"] = "plain"


@dataclass(frozen=True, slots=True)
class Case:
    """A run, and how it must end for the comparison to be about what its name says."""

    name: str
    status: str
    drives: Sequence[Drive] = (Drive(),)
    script: Callable[[], Script | Reply] | None = lambda: MADE
    """Of the server; `None`: nothing is configured, the embedded engine does the work."""
    task: str = "Add slugify"
    repo: Mapping[str, str | bytes] = field(default_factory=lambda: SLUGS)
    dirty: Mapping[str, str] = field(default_factory=dict)
    """Files of the user's that are in no commit."""
    checks: tuple[str, ...] = (PYTEST,)
    """What judges the repository; run again by us."""
    roles: Mapping[str, Any] = field(default_factory=dict)
    """Of the `llm` section, over the usual one; `{main}`, `{spare}` and `{closed}` stand for addresses."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """Further sections."""
    traces: Mapping[str, str] = field(default_factory=dict)
    """Command of the model to the file it leaves; "!" before one that it deletes."""
    sent: tuple[str, ...] = ()
    """Words the run is steered with."""
    yes: bool = True
    unasked: bool = False
    """The supervisor may ask its model at any time."""
    spare: Callable[[], Script] = lambda: MADE
    """Of a second server."""
    also: "Case | None" = None
    """A second thread in the same repository, driven when the first has ended."""
