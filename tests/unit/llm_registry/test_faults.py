"""The fault matrix: what always misbehaves, with a second server behind it, in every protocol."""

import asyncio

import pytest

from benchmarks.faults.expected import wrong
from benchmarks.faults.trial import Manner, Protocol, Trial, run
from tests.modelserver.faults import Fault


@pytest.mark.slow
@pytest.mark.parametrize("protocol", Protocol)
async def test_every_misbehaviour_ends_as_it_must(protocol: Protocol) -> None:
    gate = asyncio.Semaphore(8)
    # The first use of a protocol imports its client, which must not count as a server's silence.
    await run(Trial(Fault.FENCED_JSON, protocol, Manner.ALONE))

    async def one(trial: Trial) -> tuple[Trial, str]:
        async with gate:
            return trial, wrong(trial, await run(trial))

    trials = [Trial(fault, protocol, Manner.ALWAYS) for fault in Fault]
    problems = dict(await asyncio.gather(*(one(trial) for trial in trials)))
    assert {trial.fault.value: problem for trial, problem in problems.items() if problem} == {}


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.PROSE, Fault.ARGUMENTS_BROKEN, Fault.OVERLOADED])
async def test_a_passing_misbehaviour_costs_only_another_try(fault: Fault) -> None:
    trial = Trial(fault, Protocol.CHAT, Manner.ONCE)
    assert wrong(trial, await run(trial)) == ""


async def test_alone_it_is_a_typed_error_that_says_what_happened() -> None:
    outcome = await run(Trial(Fault.AUTH, Protocol.CHAT, Manner.ALONE))
    assert outcome.end == "error"
    assert "primary:scripted: auth" in outcome.detail
    assert "Invalid API Key" in outcome.detail
