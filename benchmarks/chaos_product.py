"""The storm on the whole product: real graph, worktree, checks and HTTP model; `python -m benchmarks.chaos --product`.

The coder reads until it hears the last word and only then does its step. What is audited here is what a user relies
on: every prompt a server would accept, all guidance on record once and in order, the step done, the checkout untouched.
"""

import asyncio
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import chaos_children as children
from benchmarks.chaos_children import LAST, Plan
from core.config.settings import Settings
from core.context import RunOptions
from core.errors import Exit
from core.events import Event
from core.storage.database import Database
from core.storage.layout import RepoLayout
from core.storage.ownership import make_state_folder
from graph.build import build_graph
from graph.context_factory import RunSpec
from graph.runner import resume_thread, run
from graph.store.checkpoints import open_checkpoints
from graph.store.inbox import SqliteInbox
from graph.store.thread_store import ThreadStore
from graph.supervisor.supervise import supervise
from tests.integration.jobs import SLUGIFY, SLUGS, openai, settings_with, state_of
from tests.modelserver.competent import CompetentScript
from tests.modelserver.reply import Reply, call
from tests.modelserver.request import ModelRequest
from tests.repositories import make_repository
from tests.steering.models import nobody
from tests.steering.world import Heard

_ID = re.compile(r'<guidance id="(\d+)"')


@dataclass(frozen=True)
class ProductPlan(Plan):
    """A plan with a repository and a model server."""

    repo: Path = Path()
    url: str = ""


def prepare(plan: Plan, folder: Path, url: str) -> ProductPlan:
    """Make the repository of a round."""
    repo = make_repository(folder / f"repo-{plan.seed}", SLUGS)
    layout = RepoLayout(repo)
    make_state_folder(layout)
    thread = f"00000000-0000-4000-8000-{plan.seed:012d}"
    base = replace(plan, database=layout.database, thread=thread)
    return ProductPlan(**vars(base), repo=repo, url=url)


class Coder:
    """A competent model that waits for the last word before it writes anything."""

    def __init__(self) -> None:
        self._competent = CompetentScript(files=SLUGIFY)

    def __call__(self, request: ModelRequest) -> Reply:
        heard = any(LAST in message.text for message in request.messages)
        if "write_file" in request.tool_names and not heard:
            number = sum(message.role == "tool" for message in request.messages)
            return call("read_file", path="slugs/text.py", start=1, end=1 + number)
        return self._competent(request)


def settings(url: str) -> Settings:
    """One server for every role, a window in which nothing is summarized away, no limits."""
    limits = {"max_model_calls": None, "max_loop_calls": 100_000}
    return settings_with(openai(url, context_length=4_000_000), budget=limits, supervisor={"enabled": False})


def run_product(plan: ProductPlan, ready: Any) -> None:
    """Begin the thread or go on with it, until its end or until killed."""
    raise SystemExit(asyncio.run(_run(plan, ready)))


async def _run(plan: ProductPlan, ready: Any) -> int:
    def listen(event: Event) -> None:
        if event.event == "node_started":
            ready.set()

    options = RunOptions(approve_all=True)
    known = plan.thread in {row.thread_id for row in await ThreadStore(Database(plan.database)).list()}
    if known:
        outcome = await resume_thread(RunSpec(plan.thread, plan.repo, settings(plan.url), options), listen=listen)
    else:
        task = "Add a function slugify with tests"
        spec = RunSpec(plan.thread, plan.repo, settings(plan.url), options, task=task)
        outcome = await run(spec, listen=listen)
    return 0 if outcome.exit_code == Exit.DONE else 10 + outcome.exit_code


def watch_product(plan: ProductPlan) -> None:
    """Supervise the thread until it is finished."""
    asyncio.run(_watch(plan))


async def _watch(plan: ProductPlan) -> None:
    async with open_checkpoints(Database(plan.database)) as saver:
        await supervise(
            plan.thread,
            database=Database(plan.database),
            graph=build_graph().compile(checkpointer=saver),
            models=nobody(),
            settings=children.settings(),
            events=Heard(),
            stop=asyncio.Event(),
        )


def broken_prompts(requests: list[ModelRequest]) -> list[str]:
    """Prompts a strict server would refuse, and guidance that is in a prompt twice or out of order."""
    faults = []
    for request in requests:
        waiting: list[str] = []
        for message in request.messages:
            if message.role == "tool" and message.tool_call_id in waiting:
                waiting.remove(message.tool_call_id)
            elif message.role == "tool" or waiting:
                faults.append(f"request {request.index}: a call and its result are apart")
                break
            waiting += [made.id for made in message.tool_calls]
        told = [int(i) for m in request.messages if m.role == "user" for i in _ID.findall(m.text)]
        if told != sorted(set(told)):
            faults.append(f"request {request.index}: guidance twice or out of order")
    return faults


async def audit(plan: ProductPlan, requests: list[ModelRequest]) -> tuple[list[str], int, int]:
    """Faults, rows of the inbox, and how many of them the supervisor wrote."""
    items = await SqliteInbox(Database(plan.database), plan.thread).after(0)
    state = await state_of(plan.repo, plan.thread)
    got = [item.id for item in state.get("guidance", ())]
    wanted = [item.id for item in items if item.id <= state.get("guidance_cursor", 0)]
    faults = broken_prompts(requests)
    if got != wanted:
        faults.append(f"on record are {len(got)} of {len(wanted)} delivered guidances")
    late = [item for item in items if item.id > state.get("guidance_cursor", 0)]
    if any(item.author != "supervisor" for item in late):
        faults.append(f"{len(late)} guidances were never delivered")
    if state.get("outcome") != "done" or len(state.get("step_results", ())) != 1:
        faults.append(f"the thread ended as {state.get('outcome')} after {len(state.get('step_results', ()))} visits")
    return faults, len(items), sum(item.author == "supervisor" for item in items)
