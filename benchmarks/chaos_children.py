"""The processes of the chaos test: one feeds guidance, one supervises, one runs the thread and is killed."""

import asyncio
import contextlib
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.tools import tool

from core.config.settings import Settings, SupervisorSettings
from core.errors import LockedError
from core.storage.database import Database
from graph.drive.in_flight import ActivityTracker
from graph.drive.interruptible_stream import PausedError, interruptible_stream
from graph.store.inbox import SqliteInbox
from graph.store.lease import Lease
from graph.supervisor.supervise import supervise
from tests.steering.models import nobody
from tests.steering.world import Heard, Speaker, build, call, context_of, opened, results

LAST = "that was the last word"
KINDS = ("guidance", "guidance", "guidance", "nudge", "prioritize")


@dataclass(frozen=True)
class Plan:
    """What all processes of one round agree on."""

    database: Path
    thread: str
    guidances: int
    pace_s: float
    """Mean time between two guidances."""
    latency_s: float
    """Of a model call."""
    seed: int


@tool
async def step(number: int) -> str:
    """Work a little."""
    await asyncio.sleep(0.002)
    return f"{number} done"


def speak(messages: list[BaseMessage]) -> AIMessage:
    """Work until the last word was heard; every fourth time call two tools at once. Knows nothing but its prompt."""
    done = len(results(messages))
    heard = any(str(message.id).startswith("guidance-") and LAST in str(message.content) for message in messages)
    if heard:
        return AIMessage("finished")
    calls = [*call("step", done, number=done).tool_calls]
    if done % 4 == 3:
        calls += call("step", done + 1, number=done + 1).tool_calls
    return AIMessage("", tool_calls=calls)


def settings() -> Settings:
    """A nervous supervisor, so that it takes part."""
    rules = {"calls_without_change": 8}
    quick = {
        "poll_s": 0.05,
        "max_load": 0.2,
        "cool_down_s": 1.0,
        "cool_down_calls": 8,
        "policy": "nudge",
        "rules": rules,
    }
    return Settings(supervisor=SupervisorSettings(**quick))  # type: ignore[arg-type]


def run(plan: Plan, ready: Any) -> None:
    """Drive the thread from wherever it stands to its end, or until killed."""
    with contextlib.suppress(PausedError):
        asyncio.run(_run(plan, ready))


async def _run(plan: Plan, ready: Any) -> None:
    config: Any = {"configurable": {"thread_id": plan.thread}}
    activity = ActivityTracker(Heard())
    speaker = Speaker(speak=speak, latency=plan.latency_s, events=activity)
    async with (
        Database(plan.database) as database,
        Lease(database, plan.thread),
        opened(build(speaker, [step]), plan.database) as graph,
    ):
        inbox = SqliteInbox(database, plan.thread)
        inp = None if (await graph.aget_state(config)).created_at else {"task": "work"}
        context = context_of(plan.thread, inbox, activity)
        ready.set()
        async for _ in interruptible_stream(graph, inp, config, context=context, inbox=inbox):
            speaker.prompts.clear()


def feed(plan: Plan) -> None:
    """Put guidance into the inbox at random times; one in twenty is urgent."""
    asyncio.run(_feed(plan))


async def _feed(plan: Plan) -> None:
    chance = random.Random(plan.seed)
    inbox = SqliteInbox(Database(plan.database), plan.thread)
    for number in range(plan.guidances):
        await asyncio.sleep(chance.expovariate(1 / plan.pace_s))
        last = number == plan.guidances - 1
        kind, text = ("guidance", LAST) if last else (chance.choice(KINDS), f"word {number}")
        payload = {"urgent": True} if chance.random() < 0.05 else {}
        await inbox.put(plan.thread, kind=kind, author="user", text=text, payload=payload)


def watch(plan: Plan) -> None:
    """Supervise the thread until it is finished."""
    asyncio.run(_watch(plan))


async def _watch(plan: Plan) -> None:
    async with opened(build(Speaker(speak=speak), [step]), plan.database) as graph:
        await supervise(
            plan.thread,
            database=Database(plan.database),
            graph=graph,
            models=nobody(),
            settings=settings(),
            events=Heard(),
            stop=asyncio.Event(),
        )


def refused(plan: Plan) -> bool:
    """Whether a second runner is kept out."""

    async def attempt() -> bool:
        try:
            async with Lease(Database(plan.database), plan.thread):
                return False
        except LockedError:
            return True

    return asyncio.run(attempt())
