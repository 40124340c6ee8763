"""How long the command line takes to say something, beside an interpreter that does nothing.

Run it with `python -m benchmarks.startup`. Owns the measuring; the bound it prints is a promise of the README.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

BOUND_S = 0.15
ROUNDS = 15
CALLS: dict[str, Sequence[str]] = {
    "python -c pass": ("-c", "pass"),
    "rolecall --help": ("-m", "rolecall", "--help"),
    "rolecall run --help": ("-m", "rolecall", "run", "--help"),
    "rolecall --version": ("-m", "rolecall", "--version"),
}


def once(words: Sequence[str]) -> float:
    """Wall-clock seconds of one call."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> int:
    """Measure in turn; print; 1 when the best of a call is over the bound, since a busy machine only adds to it."""
    seconds: dict[str, list[float]] = {name: [] for name in CALLS}
    for _ in range(ROUNDS):
        for name, words in CALLS.items():
            seconds[name].append(once(words))
    floor = statistics.median(seconds["python -c pass"])
    for name, measured in seconds.items():
        median = statistics.median(measured)
        print(
            f"{name:<22} median {median * 1000:6.1f} ms  best {min(measured) * 1000:6.1f} ms  {median / floor:5.1f} x"
        )
    late = [name for name, measured in seconds.items() if min(measured) > BOUND_S]
    print(f"over the bound of {BOUND_S * 1000:.0f} ms: {', '.join(late) or 'none'}")
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
