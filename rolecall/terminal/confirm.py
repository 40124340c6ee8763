"""Asks a person at the terminal before something that cannot be undone. Decides nothing itself."""

import sys


def confirm(question: str) -> bool:
    """Ask on stderr, with `[y/N]` after it; anything but a yes is a no."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
