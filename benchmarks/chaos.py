"""Kill the runner of a steered thread at random until its guidance is all delivered, then count what arrived.

`python -m benchmarks.chaos --kills 100 --guidance 2000`; `make chaos N=100`. Exits with 1 when anything was lost,
doubled, out of order, or left a tool call without its result.
"""

import argparse
import asyncio
import multiprocessing
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from benchmarks import chaos_children as children
from benchmarks import chaos_product as product
from benchmarks.chaos_children import Plan
from core.context import InboxItem
from core.storage.database import Database
from graph.store.inbox import SqliteInbox
from nodes.guidance.delivery import SPOKEN
from tests.modelserver.server import ModelServer
from tests.repositories import fingerprint
from tests.steering.world import Heard, Speaker, build, context_of, opened


@dataclass
class Tally:
    """What a round came to."""

    kills: int = 0
    early_kills: int = 0
    """Of these, before the run had the thread."""
    watcher_kills: int = 0
    guidances: int = 0
    of_supervisor: int = 0
    tool_calls: int = 0
    seconds: float = 0.0
    locked_out: int = 0
    """Second runners that were kept out while the first lived."""
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Storm:
    """How hard it blows."""

    kills: int
    """At least this many in a round; more if the guidance lasts longer."""
    guidances: int
    pace_s: float = 0.05
    latency_s: float = 0.02
    life_s: float = 1.2
    """Mean life of a runner."""


@dataclass(frozen=True)
class Cast:
    """The processes of a round."""

    plan: Plan
    run: Callable[[Any, Any], None]
    watch: Callable[[Any], None]


def weather(storm: Storm, folder: Path, seed: int) -> Tally:
    """One thread from its first step to its end, under fire."""
    plan = plan_of(storm, folder, seed)
    tally = _round(storm, Cast(plan, children.run, children.watch))
    asyncio.run(_audit(plan, tally))
    return tally


def product_weather(storm: Storm, folder: Path, seed: int) -> Tally:
    """The same on the whole product, with a model server that outlives the runner."""
    with ModelServer(product.Coder()) as server:
        plan = product.prepare(plan_of(storm, folder, seed), folder, server.v1)
        before = fingerprint(plan.repo)
        tally = _round(storm, Cast(plan, product.run_product, product.watch_product))
        faults, tally.guidances, tally.of_supervisor = asyncio.run(product.audit(plan, list(server.requests)))
        tally.faults += faults + [f"the model server: {error}" for error in server.errors]
        tally.tool_calls = len(server.requests)
    if fingerprint(plan.repo) != before:
        tally.faults.append("the user's checkout was touched")
    return tally


def plan_of(storm: Storm, folder: Path, seed: int) -> Plan:
    """What the processes of a round agree on."""
    return Plan(folder / f"{seed}.db", f"thread-{seed}", storm.guidances, storm.pace_s, storm.latency_s, seed)


def _round(storm: Storm, cast: Cast) -> Tally:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.chaos_children", "benchmarks.chaos_product"])
    began = time.monotonic()
    feeder = context.Process(target=children.feed, args=(cast.plan,))
    feeder.start()
    try:
        tally = Strike(storm, cast, context).all()
    finally:
        feeder.join(30)
        feeder.kill()
    tally.seconds = time.monotonic() - began
    return tally


class Strike:
    """Starts the processes of a round and kills them at random."""

    def __init__(self, storm: Storm, cast: Cast, context: ForkServerContext) -> None:
        self._storm, self._cast, self._context = storm, cast, context
        self._chance = random.Random(cast.plan.seed)
        self._watcher = self._start_watcher()
        self.tally = Tally()

    def all(self) -> Tally:
        """Kill runner after runner until one comes to its end."""
        while self._life():
            self.tally.kills += 1
            if self._chance.random() < 0.1:
                self._watcher.kill()
                self._watcher.join()
                self.tally.watcher_kills += 1
                self._watcher = self._start_watcher()
        self._watcher.join(20)
        if self._watcher.exitcode != 0:
            self.tally.faults.append(f"the supervisor ended with {self._watcher.exitcode}")
            self._watcher.kill()
        return self.tally

    def _start_watcher(self) -> Any:
        watcher = self._context.Process(target=self._cast.watch, args=(self._cast.plan,))
        watcher.start()
        return watcher

    def _life(self) -> bool:
        """One runner; whether it was killed before its end."""
        chance, ready = self._chance, self._context.Event()
        runner = self._context.Process(target=self._cast.run, args=(self._cast.plan, ready))
        runner.start()
        early = chance.random() < 0.15
        if not early:
            ready.wait(60)
            if chance.random() < 0.1 and runner.is_alive():
                self.tally.locked_out += children.refused(self._cast.plan)
        enough = self.tally.kills >= self._storm.kills * 3
        runner.join(180 if enough else self._span(early=early))
        if runner.exitcode is None and not enough:
            runner.kill()
            runner.join()
            self.tally.early_kills += early and not ready.is_set()
            return True
        if runner.exitcode != 0:
            self.tally.faults.append(f"the last runner ended with {runner.exitcode}")
            runner.kill()
        return False

    def _span(self, *, early: bool) -> float:
        return self._chance.uniform(0, 0.5) if early else self._chance.expovariate(1 / self._storm.life_s)


async def _audit(plan: Plan, tally: Tally) -> None:
    config: Any = {"configurable": {"thread_id": plan.thread}}
    inbox = SqliteInbox(Database(plan.database), plan.thread)
    items = await inbox.after(0)
    async with opened(build(Speaker(speak=children.speak), [children.step]), plan.database) as graph:
        state = await graph.aget_state(config)
        compare(items, state.values, tally)
        if state.next:
            tally.faults.append(f"the thread stands at {state.next}")
        await _go_back(graph, config, context_of(plan.thread, inbox, Heard()), state.values, tally)
    tally.guidances, tally.of_supervisor = len(items), sum(item.author == "supervisor" for item in items)


def compare(items: Sequence[InboxItem], values: dict[str, Any], tally: Tally) -> None:
    """Every row once, in the order of the inbox, in the record of the state and in the history of the loop."""
    wanted = [item.id for item in items]
    got = [item.id for item in values.get("guidance", ())]
    if got[: len(wanted)] != wanted[: len(got)] or len(got) != len(set(got)):
        tally.faults.append(f"the record of guidance is not the inbox: {len(got)} of {len(wanted)}")
    behind = [item for item in items if item.id > values.get("guidance_cursor", 0)]
    # Only a word that came in after the very last look may be left; it is reported as undelivered, not lost.
    if len(wanted) - len(got) != len(behind):
        tally.faults.append(f"{len(wanted) - len(got)} rows are missing, {len(behind)} lie behind the cursor")
    in_loop = {item.id for item in values.get("guidance", ()) if item.node == "implement" and item.kind in SPOKEN}
    shown = [f"guidance-{ident}" for ident in wanted if ident in in_loop]
    messages: list[BaseMessage] = values["messages"]
    told = [m.id for m in messages if isinstance(m, HumanMessage) and str(m.id).startswith("guidance-")]
    if told != shown:
        tally.faults.append(f"{len(told)} messages for {len(shown)} guidances")
    tally.faults += invalid(messages)
    tally.tool_calls = sum(isinstance(message, ToolMessage) for message in messages)


def invalid(messages: Sequence[BaseMessage]) -> list[str]:
    """What a strict server would refuse: a call without its result right behind it, a result without its call."""
    faults, waiting = [], list[str]()
    seen: set[str] = set()
    for message in messages:
        if isinstance(message, ToolMessage):
            if message.tool_call_id not in waiting:
                faults.append(f"a result without a call: {message.tool_call_id}")
            else:
                waiting.remove(message.tool_call_id)
            continue
        if waiting:
            faults.append(f"calls without a result: {waiting}")
            waiting = []
        for call in message.tool_calls if isinstance(message, AIMessage) else ():
            if call["id"] in seen:
                faults.append(f"a call made twice: {call['id']}")
            seen.add(str(call["id"]))
            waiting.append(str(call["id"]))
    return faults + ([f"calls without a result: {waiting}"] if waiting else [])


async def _go_back(graph: Any, config: Any, context: Any, values: dict[str, Any], tally: Tally) -> None:
    """Resume from the first checkpoint: the same guidance, in the same order, once."""
    start = [state async for state in graph.aget_state_history(config)][-2]
    again = await graph.ainvoke(None, start.config, context=context)
    first = [(item.id, item.kind, item.text) for item in values.get("guidance", ())]
    second = [(item.id, item.kind, item.text) for item in again.get("guidance", ())]
    if second[: len(first)] != first:
        tally.faults.append(f"going back brought {len(second)} guidances for {len(first)}")
    tally.faults += [f"after going back: {fault}" for fault in invalid(again["messages"])]


def main(argv: Sequence[str] | None = None) -> int:
    """Run rounds until kills and guidance are reached; print a table; 0 when nothing was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--guidance", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--product", action="store_true", help="the whole product instead of a small graph")
    asked = parser.parse_args(argv)
    storm = Storm(kills=asked.kills // asked.rounds, guidances=-(-asked.guidance // asked.rounds))
    blow = weather
    if asked.product:
        storm, blow = replace(storm, pace_s=0.5, life_s=6.0), product_weather
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    total = Tally()
    print(f"{'round':>5} {'kills':>6} {'early':>6} {'guidance':>9} {'supervisor':>11} {'calls':>6} {'s':>6}  faults")
    number = 0
    while number < asked.rounds or total.kills < asked.kills or total.guidances < asked.guidance:
        tally = blow(storm, folder, asked.seed + number)
        number += 1
        _line(number, tally)
        _add(total, tally)
    _line("all", total)
    print(f"kills of the supervisor: {total.watcher_kills}; second runners kept out: {total.locked_out}")
    for fault in total.faults:
        print("FAULT:", fault)
    shutil.rmtree(folder)
    return 1 if total.faults else 0


def _line(name: int | str, tally: Tally) -> None:
    print(
        f"{name:>5} {tally.kills:>6} {tally.early_kills:>6} {tally.guidances:>9} {tally.of_supervisor:>11} "
        f"{tally.tool_calls:>6} {tally.seconds:>6.0f}  {len(tally.faults)}",
        flush=True,
    )


def _add(total: Tally, tally: Tally) -> None:
    for name, value in vars(tally).items():
        setattr(total, name, getattr(total, name) + value)


if __name__ == "__main__":
    sys.exit(main())
