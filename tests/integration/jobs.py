"""Runs the main job for tests, as the command line does: real graph, real git, real SQLite, real HTTP."""

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from core.artifacts import Report
from core.config.settings import Settings
from core.context import RunOptions, ToolSource
from core.events import Event
from core.run_result import RunResult
from core.state import RunState
from core.storage.database import database_of
from core.threads import ThreadOptions
from graph.context_factory import RunSpec
from graph.drive.thread_run import AskUser
from graph.runner import open_graph, resume_thread, run, run_request
from tests.repositories import make_repository

EXAMPLE = Path(__file__).parents[2] / "examples" / "inventory"
SLUGS = {
    "slugs/__init__.py": "",
    "slugs/text.py": "def shout(text):\n    return text.upper()\n",
    "tests/test_text.py": "from slugs.text import shout\n\n\ndef test_shout():\n    assert shout('a') == 'A'\n",
}
"""A green repository with nothing to repair."""
SLUGIFY = {
    "slugs/slugify.py": "def slugify(text):\n    return '-'.join(text.lower().split())\n",
    "tests/test_slugify.py": (
        "from slugs.slugify import slugify\n\n\ndef test_words():\n    assert slugify('A b') == 'a-b'\n"
    ),
}
"""What a competent model adds to it."""


@dataclass
class Heard:
    """Everything a run told."""

    events: list[Event] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def named(self, name: str) -> list[dict[str, Any]]:
        return [event.data for event in self.events if event.event == name]


def red_repository(folder: Path) -> Path:
    """The example of the README, red by one line."""
    shutil.copytree(EXAMPLE, folder)
    return make_repository(folder, {})


def openai(url: str, **more: Any) -> dict[str, Any]:
    return {"provider": "openai_compatible", "model": "scripted", "base_url": url, **more}


def ollama(url: str, **more: Any) -> dict[str, Any]:
    return {"provider": "ollama", "model": "scripted", "base_url": url, **more}


def settings_with(spec: Mapping[str, Any] | None = None, **sections: Any) -> Settings:
    """Settings in which one spec serves every role; none means the embedded engine does."""
    roles = ("primary", "coder", "reasoning", "router", "summarizer", "supervisor")
    llm = dict.fromkeys(roles, "primary") | {"primary": dict(spec)} if spec else {}
    return Settings.model_validate({"llm": llm, "sandbox": {"mode": "host"}, **sections})


async def do(
    repo: Path,
    task: str,
    settings: Settings | None = None,
    *,
    heard: Heard | None = None,
    ask: AskUser | None = None,
    checks: Sequence[str] = (),
    options: RunOptions | None = None,
    sources: Sequence[ToolSource] = (),
) -> RunResult:
    asked = ThreadOptions(checks=list(checks))
    spec = spec_of(repo, settings, options=options, task=task, asked=asked, sources=tuple(sources))
    return await run(spec, listen=heard or Heard(), ask=ask)


async def go_on(repo: Path, thread: str, settings: Settings | None = None, **more: Any) -> RunResult:
    listen = more.pop("heard", None) or Heard()
    sources = tuple(more.pop("sources", ()))
    spec = spec_of(repo, settings, thread_id=thread, options=more.pop("options", None), sources=sources)
    return await resume_thread(spec, listen=listen, **more)


async def ask_more(repo: Path, thread: str, text: str, settings: Settings | None = None, **more: Any) -> RunResult:
    """Continue a thread with a new request."""
    listen = more.pop("heard", None) or Heard()
    return await run_request(spec_of(repo, settings, thread_id=thread), text, listen=listen, **more)


def spec_of(repo: Path, settings: Settings | None = None, *, options: RunOptions | None = None, **more: Any) -> RunSpec:
    return RunSpec(
        **{"thread_id": str(uuid4()), **more}, repo=repo, settings=settings or settings_with(),
        options=options or RunOptions(approve_all=True),
    )  # fmt: skip


async def state_of(repo: Path, thread: str) -> RunState:
    async with open_graph(settings_with(), database_of(repo)) as graph:
        snapshot = await graph.aget_state({"configurable": {"thread_id": thread}})
    values: RunState = snapshot.values  # type: ignore[assignment]
    return values


async def report_of(repo: Path, thread: str) -> Report:
    return (await state_of(repo, thread))["report"]


async def read(path: str | Path) -> str:
    return await asyncio.to_thread(Path(path).read_text, encoding="utf-8")
