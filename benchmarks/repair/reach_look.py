"""Runs in the interpreter of the program under repair: counts candidates instead of trying them.

Owns the comparison of a candidate with the text that is looked for. `reach` starts it.
"""

import ast
import io
import json
import re
import sys
from pathlib import Path
from typing import Any, ClassVar

WORKER = Path(__file__).parents[2] / "tools" / "repair" / "worker"
sys.path[:] = [str(WORKER), *(entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).parent)]

from rolecall_search import main, repair  # noqa: E402
from rolecall_search.candidates import Stream  # noqa: E402

MOST = 8_000
_LOOSE = re.compile(r"[\s()\"',]+")


def tree_of(text: str) -> str:
    """What a file does, without its layout; empty when it does not parse."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return ""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            node.keywords.sort(key=lambda keyword: keyword.arg or "")
    return ast.dump(tree)


def loosely(text: str) -> str:
    """The characters of a text sorted, without layout: quick to compare, and equal for equal programs."""
    return "".join(sorted(_LOOSE.sub("", text)))


class Looking(repair.Repair):
    """A repair that looks through its candidates."""

    wanted: ClassVar[dict[str, list[str]]] = {}

    def _search(self, searcher: Any, baseline: Any, suspicion: Any, hints: Any) -> None:
        sources = {path: source for path in suspicion.scores if (source := self.project.source(path)) is not None}
        types = self._types(searcher, baseline, sources)
        stream = Stream(sources, suspicion, types, hints)
        self.channel.emit("reach", reached=look(stream, self.wanted))
        searcher.stop_reason = "only looked"


def look(stream: Any, wanted: dict[str, list[str]]) -> dict[str, Any]:
    """The place of the first candidate that is one of the wanted texts."""
    loose = {path: {loosely(text): tree_of(text) for text in texts} for path, texts in wanted.items()}
    seen: set[tuple[str, str]] = set()
    made = 0
    for candidate in stream:
        text = candidate.source.apply(candidate.edits)
        key = (candidate.source.path, text)
        if key in seen:
            continue
        seen.add(key)
        made += 1
        tree = loose.get(candidate.source.path, {}).get(loosely(text))
        if tree and tree == tree_of(text):
            rank = line_rank(stream, candidate)
            return {"place": made, "template": candidate.template, "made": made, "line_rank": rank}
        if made >= MOST:
            break
    return {"made": made}


def line_rank(stream: Any, candidate: Any) -> int:
    """The place of the statement a candidate edits."""
    for at, spot in enumerate(stream.spots, 1):
        if spot.source is candidate.source and any(getattr(node, "lineno", 0) == candidate.line for node in spot.nodes):
            return at
    return 0


if __name__ == "__main__":
    asked = json.loads(sys.stdin.read())
    Looking.wanted = asked.pop("wanted")
    Path(asked["temp"]).mkdir(parents=True, exist_ok=True)
    main.Repair = Looking
    sys.stdin = io.StringIO(json.dumps(asked))
    main.main()
