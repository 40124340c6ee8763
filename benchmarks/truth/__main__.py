"""`python -m benchmarks.truth`: makes the runs, compares what they said, prints a line for each; fails on a lie."""

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from benchmarks.truth.broken_off import BROKEN_OFF
from benchmarks.truth.case import Case
from benchmarks.truth.cases import CASES
from benchmarks.truth.trial import Trial, attempt

ALL = {case.name: case for case in (*BROKEN_OFF, *CASES)}


def main(cases: Sequence[Case], jobs: int, *, verbose: bool) -> int:
    """Make the runs and return the exit code."""
    began = time.monotonic()
    trials = []
    with ThreadPoolExecutor(jobs) as pool:
        for trial in pool.map(attempt, cases):
            _show(trial, verbose=verbose)
            trials.append(trial)
    claims, false = sum(len(one.claims) for one in trials), sum(len(one.false) for one in trials)
    astray = sum(bool(one.astray) for one in trials)
    print(
        f"\n{len(trials)} runs in {time.monotonic() - began:.0f} s: {claims} claims compared, {false} contradictions"
        + (f", {astray} runs went elsewhere than their names say" if astray else "")
    )
    return 1 if false or astray else 0


def _show(trial: Trial, *, verbose: bool) -> None:
    codes = " ".join(str(call.code) for seen in trial.seen for call in seen.calls if call.drives)
    end = f"{trial.case.name:42} exit {codes:10} {len(trial.claims):4} claims, {len(trial.false):2} contradictions"
    print(f"{end}  {trial.seconds:5.1f} s", flush=True)
    if trial.astray:
        print(f"    ELSEWHERE it ended as {trial.astray}")
    for claim in trial.false:
        print(f"    FALSE {claim.kind}, {claim.where}: said {claim.said!r}, really {claim.real!r}")
    if verbose:
        for seen in trial.seen:
            for call in (*seen.calls, *seen.followed):
                print(f"$ {' '.join(call.words)} -> {call.code}\n{call.said}")
            print(f"{seen.show}\n{seen.log}\n{seen.report}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.truth", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=ALL, metavar="NAME", help="a run; may be given several times"
    )
    parser.add_argument("--jobs", type=int, default=2, help="runs at one time")
    parser.add_argument("--verbose", action="store_true", help="print everything that was said")
    parser.add_argument("--list", action="store_true", help="print the names of the runs")
    given = parser.parse_args()
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # a caller that hangs up is the point here
    if given.list:
        print("\n".join(ALL))
        sys.exit(0)
    sys.exit(main([ALL[name] for name in given.only or ALL], given.jobs, verbose=given.verbose))
