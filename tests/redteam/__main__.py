"""`python -m tests.redteam`: make all attempts and print the table."""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from tests.redteam.apart import go_apart
from tests.redteam.attempt import Policy
from tests.redteam.runner import all_attempts, policies_here, run_all
from tests.redteam.table import faults_of, table_of


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.redteam")
    parser.add_argument("--only", nargs="*", default=[], metavar="ID", help="attempts whose id begins so")
    parser.add_argument("--exactly", action="store_true", help="whose id is exactly that")
    parser.add_argument("--policy", choices=[policy.name.lower() for policy in Policy], action="append")
    parser.add_argument("--beside", type=int, default=5, help="attempts at a time")
    parser.add_argument("--json", type=Path, help="also write the results here")
    parser.add_argument("--keep", action="store_true", help="keep the folders of the attempts")
    parser.add_argument("--progress", action="store_true", help="name each attempt as it ends")
    options = parser.parse_args()
    go_apart()
    policies = [Policy[name.upper()] for name in options.policy] if options.policy else policies_here()
    pairs = [
        (attempt, policy)
        for attempt in all_attempts()
        for policy in policies
        if policy in attempt.policies and _is_wanted(attempt.id, options.only, exactly=options.exactly)
    ]
    began = time.monotonic()
    results = run_all(pairs, beside=options.beside, keep=options.keep, progress=options.progress)
    if options.json:
        options.json.write_text(json.dumps([asdict(result) for result in results]), encoding="utf-8")
    print(table_of(results))
    print(f"{len(results)} attempts in {time.monotonic() - began:.0f} s")
    faults = faults_of(results, whole=not options.only)
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


def _is_wanted(name: str, only: list[str], *, exactly: bool) -> bool:
    return not only or (name in only if exactly else name.startswith(tuple(only)))


if __name__ == "__main__":
    sys.exit(main())
