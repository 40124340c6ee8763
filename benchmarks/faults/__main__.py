"""`python -m benchmarks.faults`: runs the whole matrix, prints it as a table, fails when a cell is wrong."""

import argparse
import asyncio
import logging
import sys
import time
from collections.abc import Mapping, Sequence

from benchmarks.faults.expected import expected, wrong
from benchmarks.faults.trial import Manner, Outcome, Protocol, Trial, run
from tests.modelserver.faults import Fault

_WIDTH = 24


async def main(faults: Sequence[Fault], jobs: int) -> int:
    """Run the trials and return the exit code."""
    trials = [Trial(fault, protocol, manner) for fault in faults for protocol in Protocol for manner in Manner]
    gate = asyncio.Semaphore(jobs)

    async def one(trial: Trial) -> tuple[Trial, Outcome]:
        async with gate:
            return trial, await run(trial)

    # The first use of a protocol imports its client, which must not count as a server's silence.
    for protocol in Protocol:
        await run(Trial(Fault.FENCED_JSON, protocol, Manner.ALONE))
    began = time.monotonic()
    outcomes = dict(await asyncio.gather(*(one(trial) for trial in trials)))
    _show(faults, outcomes)
    problems = {trial: problem for trial, outcome in outcomes.items() if (problem := wrong(trial, outcome))}
    for trial, problem in problems.items():
        print(f"WRONG {trial.fault.value} / {trial.protocol.value} / {trial.manner.value}: {problem}")
    print(
        f"\n{len(faults)} misbehaviours x {len(Protocol)} protocols x {len(Manner)} manners = {len(trials)} trials in "
        f"{time.monotonic() - began:.0f} s: {len(trials) - len(problems)} as they must be, {len(problems)} wrong"
    )
    return 1 if problems else 0


def _show(faults: Sequence[Fault], outcomes: Mapping[Trial, Outcome]) -> None:
    print("Each cell: how the call ended when the server misbehaves once / always with a second server behind it /")
    print("always and alone. first: its own right answer; second: the second server's; error: a typed error, exit 4.\n")
    print(f"{'misbehaviour':{_WIDTH}}" + "".join(f"{protocol.value:27}" for protocol in Protocol) + "course, kind")
    for fault in faults:
        cells = ""
        for protocol in Protocol:
            trials = [Trial(fault, protocol, manner) for manner in Manner]
            mark = "!" if any(wrong(trial, outcomes[trial]) for trial in trials) else ""
            cells += f"{mark + ' / '.join(outcomes[trial].end for trial in trials):27}"
        _, kind, course = expected(Trial(fault, Protocol.CHAT, Manner.ALONE))
        print(f"{fault.value:{_WIDTH}}{cells}{course.value}{', ' + kind.value if kind else ''}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--only", action="append", type=Fault, help="a misbehaviour; may be given several times")
    parser.add_argument("--jobs", type=int, default=6, help="trials at one time")
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # a caller that hangs up is the point here
    given = parser.parse_args()
    sys.exit(asyncio.run(main(given.only or list(Fault), given.jobs)))
