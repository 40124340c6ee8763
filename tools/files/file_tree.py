"""A list of files that fits a line budget: small directories expanded, large ones collapsed to a count. Pure text."""

import heapq
from collections.abc import Sequence

from core.text import readable


def format_tree(paths: Sequence[str], limit: int) -> str:
    """List paths one per line; directories that do not fit are shown as `name/ (n files)`.

    Args:
        paths: Relative posix paths.
        limit: Maximum number of lines, not counting the line about what was left out.
    """
    children = _children(paths)
    shown: set[str] = set(children[""])
    queue = [(_count(children, name), name) for name in shown if name.endswith("/")]
    heapq.heapify(queue)
    while queue:
        _, folder = heapq.heappop(queue)
        if len(shown) - 1 + len(children[folder]) > limit:
            continue
        shown.remove(folder)
        shown |= children[folder]
        for name in children[folder]:
            if name.endswith("/"):
                heapq.heappush(queue, (_count(children, name), name))
    lines = [f"{name} ({_count(children, name)} files)" if name.endswith("/") else name for name in sorted(shown)]
    if len(lines) > limit:
        lines = [*lines[:limit], f"… and {len(lines) - limit} more entries"]
    return readable("\n".join(lines))


def _children(paths: Sequence[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {"": set()}
    for path in paths:
        parent, parts = "", path.split("/")
        for place, part in enumerate(parts):
            name = f"{parent}{part}" + ("/" if place < len(parts) - 1 else "")
            found.setdefault(parent, set()).add(name)
            parent = name
    return found


def _count(children: dict[str, set[str]], folder: str) -> int:
    total, waiting = 0, [folder]
    while waiting:
        for name in children.get(waiting.pop(), ()):
            if name.endswith("/"):
                waiting.append(name)
            else:
                total += 1
    return total
