"""Places on an endpoint, measured at the server."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from llm_registry.endpoints.shared_state import open_shared_state
from llm_registry.endpoints.slots import Slots
from tests.modelserver.reply import say
from tests.modelserver.server import ModelServer
from tests.unit.llm_registry.rig import HELLO, SITE, Ear, chat_spec, registry

TOP = Path(__file__).resolve().parents[3]
CALLS = 3
RUNS = f"""
import asyncio, json, sys
from pathlib import Path
from tests.unit.llm_registry.rig import HELLO, SITE, registry

async def run(llm, folder, own):
    (folder / own).mkdir()
    async with registry(llm, folder / own, state=folder) as models:
        for role in ("primary", "coder", "summarizer")[:{CALLS}]:
            print((await models.chat(role, HELLO, site=SITE)).text)

async def main():
    llm, folder, name = json.loads(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    await asyncio.gather(*(run(llm, folder, f"{{name}}-{{number}}") for number in range(4)))

asyncio.run(main())
"""


@pytest.mark.slow
def test_eight_runs_on_one_endpoint_never_have_more_calls_in_flight_than_it_takes(tmp_path: Path) -> None:
    with ModelServer(lambda _: say("done", delay=0.15)) as server:
        llm = {"primary": chat_spec(server, max_concurrency=2, timeouts={"first_token": 60})}
        arguments = [json.dumps(llm), str(tmp_path)]
        processes = [
            subprocess.Popen([sys.executable, "-c", RUNS, *arguments, name], cwd=TOP, stdout=subprocess.PIPE)
            for name in ("one", "other")
        ]
        said = [process.communicate(timeout=200)[0].decode().split() for process in processes]
        assert said == [["done"] * 4 * CALLS] * 2
        assert len(server.requests) == 8 * CALLS
        assert max(server.max_in_flight.values()) == 2


async def test_all_roles_of_a_run_share_the_places_of_an_endpoint(tmp_path: Path) -> None:
    with ModelServer(lambda _: say("done", delay=0.1)) as server:
        llm = {
            "primary": chat_spec(server, max_concurrency=1),
            "summarizer": {"provider": "ollama", "model": "scripted", "base_url": f"{server.url}/v1"},
        }
        ear = Ear()
        async with registry(llm, tmp_path, ear=ear) as models:
            roles = ("primary", "summarizer", "coder")
            await asyncio.gather(*(models.chat(role, HELLO, site=SITE) for role in roles))
        assert sum(server.max_in_flight.values()) == 1
        assert {told["role"] for told in ear.of("model_waiting")} < set(roles)
        told = ear.of("model_waiting")
        begun, over = [one for one in told if not one["over"]], [one for one in told if one["over"]]
        assert len(begun) == len(over) == 2
        assert [one["seconds"] for one in begun] == [None, None]
        assert all(one["seconds"] > 0.05 for one in over)


async def test_places_are_given_in_the_order_they_were_asked_for(tmp_path: Path) -> None:
    order: list[int] = []
    async with open_shared_state(tmp_path) as state:
        slots = Slots(state)

        async def work(number: int) -> None:
            async with slots.place("here", 1, waiting=lambda _: None):
                order.append(number)
                await asyncio.sleep(0.02)

        tasks = []
        for number in range(5):
            tasks.append(asyncio.create_task(work(number)))
            await asyncio.sleep(0.01)
        await asyncio.gather(*tasks)
    assert order == [0, 1, 2, 3, 4]


async def test_a_cancelled_call_leaves_the_queue_at_any_moment(tmp_path: Path) -> None:
    async with open_shared_state(tmp_path) as state:
        slots = Slots(state)

        async def hold(seconds: float) -> None:
            async with slots.place("here", 1, waiting=lambda _: None):
                await asyncio.sleep(seconds)

        for delay in (0.0, 0.001, 0.003, 0.01, 0.05):
            tasks = [asyncio.create_task(hold(5)) for _ in range(3)]
            await asyncio.sleep(delay)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(2):
            await hold(0)
        assert await state.read("SELECT * FROM places") == []


async def test_the_place_of_a_killed_process_is_given_away(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys\nfrom pathlib import Path\n"
        "from llm_registry.endpoints.shared_state import open_shared_state\n"
        "from llm_registry.endpoints.slots import Slots\n"
        "async def main():\n"
        "    async with open_shared_state(Path(sys.argv[1])) as state:\n"
        "        async with Slots(state).place('here', 1, waiting=lambda _: None):\n"
        "            print('held', flush=True)\n            await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(tmp_path), cwd=TOP, stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"held\n"
    async with open_shared_state(tmp_path) as state:
        slots = Slots(state)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3), slots.place("here", 1, waiting=lambda _: None):
                pass
        os.kill(holder.pid, signal.SIGKILL)
        await holder.wait()
        began = time.monotonic()
        async with asyncio.timeout(5), slots.place("here", 1, waiting=lambda _: None):
            assert time.monotonic() - began < 2
    assert not psutil.pid_exists(holder.pid)


async def test_a_transaction_cancelled_at_any_moment_locks_nobody_out(tmp_path: Path) -> None:
    async with open_shared_state(tmp_path) as state, open_shared_state(tmp_path) as other:

        async def write() -> None:
            await state.write("INSERT INTO places(endpoint, holding, pid, born) VALUES('x', 0, 0, 0)")

        for step in range(40):
            task = asyncio.create_task(write())
            for _ in range(step):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(5):
            await write()
            await other.write("DELETE FROM places")
