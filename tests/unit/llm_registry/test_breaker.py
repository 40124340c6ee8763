"""Circuit breakers, as several runs share them."""

import asyncio
import random
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.config.settings import ModelSpec
from core.storage.database import Database
from llm_registry.diagnosis.bench import bench
from llm_registry.diagnosis.live_checks import run_live_checks
from llm_registry.endpoints import breaker
from llm_registry.endpoints.breaker import Breakers
from llm_registry.endpoints.shared_state import open_shared_state
from llm_registry.failures.errors import CallFailure, ErrorKind
from tests.modelserver.faults import Fault
from tests.modelserver.reply import fail, say
from tests.modelserver.server import ModelServer, closed_port
from tests.unit.llm_registry.raw import raw_server
from tests.unit.llm_registry.rig import HELLO, SITE, chat_spec, registry, settings_of

TOP = Path(__file__).resolve().parents[3]


@pytest.fixture
async def breakers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Breakers]:
    monkeypatch.setattr(breaker, "FIRST_COOL_S", 0.2)
    async with open_shared_state(tmp_path) as state:
        yield Breakers(state, jitter=random.Random(1))


def failure(kind: ErrorKind) -> CallFailure:
    return CallFailure(kind, "as said")


async def test_an_absent_server_opens_it_at_once_with_reason_and_time(breakers: Breakers) -> None:
    await breakers.failed("here", failure(ErrorKind.REFUSED))
    gate = await breakers.enter("here")
    assert (gate.state, gate.reason, gate.kind) == ("open", "refused: as said", ErrorKind.REFUSED)
    assert 0 < gate.wait_s <= 0.25
    assert (await breakers.enter("elsewhere")).state == "closed"


async def test_a_sick_server_has_some_failures_free(breakers: Breakers) -> None:
    for _ in range(3):
        await breakers.failed("here", failure(ErrorKind.SERVER_ERROR))
    assert (await breakers.enter("here")).state == "closed"
    await breakers.failed("here", failure(ErrorKind.SERVER_ERROR))
    assert (await breakers.enter("here")).state == "open"


async def test_hangs_weigh_double(breakers: Breakers) -> None:
    for _ in range(2):
        assert (await breakers.enter("here")).state == "closed"
        await breakers.failed("here", failure(ErrorKind.FIRST_TOKEN_TIMEOUT))
    assert (await breakers.enter("here")).state == "open"


async def test_a_success_in_between_forgives(breakers: Breakers) -> None:
    for _ in range(3):
        await breakers.failed("here", failure(ErrorKind.SERVER_ERROR))
    await breakers.succeeded("here")
    await breakers.failed("here", failure(ErrorKind.SERVER_ERROR))
    assert (await breakers.enter("here")).state == "closed"


@pytest.mark.parametrize(
    "kind", [ErrorKind.AUTH, ErrorKind.BAD_OUTPUT, ErrorKind.CONTEXT, ErrorKind.UNKNOWN_MODEL, ErrorKind.QUOTA]
)
async def test_what_is_no_fault_of_the_server_does_not_count(breakers: Breakers, kind: ErrorKind) -> None:
    for _ in range(10):
        await breakers.failed("here", failure(kind))
    assert (await breakers.enter("here")).state == "closed"


async def test_after_the_cool_down_one_may_try_and_decides_for_all(breakers: Breakers) -> None:
    await breakers.failed("here", failure(ErrorKind.REFUSED))
    await asyncio.sleep(0.3)
    gates = await asyncio.gather(*(breakers.enter("here") for _ in range(5)))
    assert sorted(gate.state for gate in gates) == ["half_open", "open", "open", "open", "open"]
    await breakers.succeeded("here")
    assert (await breakers.enter("here")).state == "closed"


async def test_a_failed_trial_doubles_the_cool_down(breakers: Breakers) -> None:
    await breakers.failed("here", failure(ErrorKind.REFUSED))
    await asyncio.sleep(0.3)
    assert (await breakers.enter("here")).state == "half_open"
    await breakers.failed("here", failure(ErrorKind.CUT))
    gate = await breakers.enter("here")
    assert gate.state == "open"
    assert gate.wait_s > 0.25


async def test_calls_that_fail_together_do_not_prolong_it(breakers: Breakers) -> None:
    for _ in range(6):
        await breakers.failed("here", failure(ErrorKind.REFUSED))
    assert (await breakers.enter("here")).wait_s <= 0.25


async def test_an_abandoned_trial_is_open_to_the_next(breakers: Breakers) -> None:
    await breakers.failed("here", failure(ErrorKind.REFUSED))
    await asyncio.sleep(0.3)
    assert (await breakers.enter("here")).state == "half_open"
    await breakers.end_trial("here")
    assert (await breakers.enter("here")).state == "half_open"


async def test_other_processes_see_it(breakers: Breakers, tmp_path: Path) -> None:
    await breakers.failed("here", CallFailure(ErrorKind.DNS, "no such name"))
    script = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom llm_registry.endpoints.breaker import Breakers\n"
        "from llm_registry.endpoints.shared_state import open_shared_state\n"
        "async def main():\n"
        "    async with open_shared_state(Path(sys.argv[1])) as state:\n"
        "        gate = await Breakers(state).enter('here')\n        print(gate.state, gate.reason)\n"
        "asyncio.run(main())\n"
    )
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(tmp_path), cwd=TOP, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await other.communicate()
    assert said.decode().split(maxsplit=1)[1].strip() == "dns: no such name"


async def test_a_cancelled_call_does_not_keep_the_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "FIRST_COOL_S", 0.1)
    replies = [fail(Fault.HANG_BEFORE_HEADERS), say("back")]
    with ModelServer(replies) as server:
        llm = {"primary": chat_spec(server)}
        async with registry(llm, tmp_path) as models:
            async with open_shared_state(tmp_path) as state:
                await Breakers(state).failed(server.url.removeprefix("http://"), failure(ErrorKind.REFUSED))
            await asyncio.sleep(0.2)
            call = asyncio.create_task(models.chat("primary", HELLO, site=SITE))
            while not server.requests:
                await asyncio.sleep(0.02)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert (await models.chat("primary", HELLO, site=SITE)).text == "back"


async def test_a_trial_cancelled_before_it_reached_the_server_is_given_on(tmp_path: Path) -> None:
    with socket.socket() as listener, socket.socket() as filler:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        filler.connect(listener.getsockname())
        endpoint = f"127.0.0.1:{listener.getsockname()[1]}"
        with socket.socket() as other:
            other.setblocking(False)
            other.connect_ex(listener.getsockname())
            async with (
                open_shared_state(tmp_path) as state,
                registry({"primary": chat_spec(f"http://{endpoint}/v1")}, tmp_path) as models,
            ):
                await set_until(state, endpoint, time.time() - 1)
                call = asyncio.create_task(models.chat("primary", HELLO, site=SITE))
                await asyncio.sleep(0.4)
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call
                assert (await Breakers(state).enter(endpoint)).state == "half_open"


async def test_a_clock_that_was_set_back_keeps_nobody_out(tmp_path: Path) -> None:
    async with open_shared_state(tmp_path) as state:
        breakers = Breakers(state)
        await set_until(state, "here", time.time() + 1e8)
        assert (await breakers.enter("here")).state == "half_open"
        await breakers.failed("here", failure(ErrorKind.REFUSED))
        assert 0 < (await breakers.enter("here")).wait_s <= breaker.LONGEST_COOL_S * 1.25


async def set_until(state: Database, endpoint: str, until: float) -> None:
    query = "INSERT INTO breakers VALUES(:endpoint, 1, 5, :until, 0, 'refused: it was', 'refused')"
    await state.write(query, {"endpoint": endpoint, "until": until})


async def test_a_spoilt_file_of_shared_state_is_set_aside(tmp_path: Path) -> None:
    async with open_shared_state(tmp_path) as state:
        await Breakers(state).failed("here", failure(ErrorKind.REFUSED))
    (spoilt,) = tmp_path.glob("*.db")
    spoilt.write_bytes(b"what a power cut left " * 400)
    async with open_shared_state(tmp_path) as state:
        assert (await Breakers(state).enter("here")).state == "closed"
    assert spoilt.with_name(f"{spoilt.name}.spoilt").read_bytes().startswith(b"what a power cut")


async def test_a_look_that_finds_nobody_keeps_no_call_away(tmp_path: Path) -> None:
    came = asyncio.Event()

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set()

    async with raw_server(hang_up) as url, open_shared_state(tmp_path) as state:
        here = url.removesuffix("/v1").removeprefix("http://")
        async with registry({"primary": chat_spec(url, fallback=["embedded"])}, tmp_path) as models:
            assert (await models.assign())["primary"].spec == "embedded"
        assert came.is_set()
        assert (await Breakers(state).enter(here)).state == "closed"


@pytest.mark.parametrize("live", [True, False])
async def test_trials_of_a_model_touch_no_breaker_of_running_runs(
    live: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLECALL_STATE_DIR", str(tmp_path))
    dead = chat_spec(f"http://127.0.0.1:{closed_port()}/v1")
    async with open_shared_state(tmp_path) as state:
        for spec, before in ((dead, "closed"), (None, "open")):
            with ModelServer(lambda _: say("hi")) as server:
                tried = spec or chat_spec(server)
                here = str(tried["base_url"]).removesuffix("/v1").removeprefix("http://")
                if before == "open":
                    await Breakers(state).failed(here, failure(ErrorKind.REFUSED))
                if live:
                    await run_live_checks(ModelSpec.model_validate(tried))
                else:
                    await bench(settings_of({"primary": tried}), "primary", [], limit=1)
            assert (await Breakers(state).enter(here)).state == before
