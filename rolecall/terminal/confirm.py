"""Asks a person at the terminal before something that cannot be taken back. Decides nothing itself."""

import asyncio
import sys


async def confirm(question: str) -> bool:
    """Ask on stderr, with `[y/N]` behind it; anything but a yes is a no."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return (await asyncio.to_thread(sys.stdin.readline)).strip().lower() in {"y", "yes"}
