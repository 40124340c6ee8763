"""The developers' interface to the search: `python -m tools.repair --root DIR --python PY --json`.

Owns argument parsing and printing. The product's own command line is elsewhere.
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path

from tools.repair.engine import RepairRequest, search_repair
from tools.repair.result import RepairEvent, RepairResult


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.repair")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--budget", type=float, default=60.0)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--events", action="store_true", help="events on standard error")
    parser.add_argument("test_args", nargs="*", help="arguments for pytest, after --")
    return parser.parse_args(argv)


def _show_event(event: RepairEvent) -> None:
    sys.stderr.write(f"{event.kind} {event.fields}\n")


def _text(result: RepairResult) -> str:
    counts = f"{len(result.failing)} failing, {result.passing} passing, {result.tried} tried"
    lines = [f"{result.status}: {counts} in {result.elapsed_s:.1f} s ({result.stop_reason})"]
    lines += [
        f"\n# {patch.template}; {patch.claim}; confidence {patch.confidence}: {patch.reason}\n{patch.diff}"
        for patch in result.patches
    ]
    if result.disagreement is not None:
        lines.append(f"these patches differ on {result.disagreement.call}")
    lines += [f"{s.path}:{s.line} {s.score:.2f} {s.text}" for s in result.suspicious]
    return "\n".join(lines) + "\n"


def main(argv: list[str] | None = None) -> int:
    """Search once and print the result."""
    args = _parse(sys.argv[1:] if argv is None else argv)
    request = RepairRequest(
        root=args.root.resolve(),
        python=args.python,
        env=dict(os.environ),
        test_args=tuple(args.test_args),
        budget_s=args.budget,
        workers=args.workers,
    )
    on_event = _show_event if args.events else None
    result = asyncio.run(search_repair(request, on_event=on_event))
    sys.stdout.write(result.model_dump_json(indent=1) + "\n" if args.json else _text(result))
    return 0 if result.patches else 1


if __name__ == "__main__":
    sys.exit(main())
