"""What a model step of the coding loop costs beside the model: time, processor time, rows and bytes, early and late.

Run it with `python -m benchmarks.step_cost`, or with `--against CHECKOUT` beside another checkout that has a venv of
its own; rounds then alternate, so that a busy machine slows both. The model answers at once and nothing is summarized,
so the transcript grows with every step. Linux only: processor time is read from `/proc`. Owns the measuring; nothing
is asserted.
"""

import argparse
import json
import os
import sqlite3
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from core.storage.layout import RepoLayout
from tests.integration.jobs import SLUGIFY, SLUGS, openai
from tests.modelserver.competent import CompetentScript
from tests.modelserver.reply import Reply, call
from tests.modelserver.request import ModelRequest
from tests.modelserver.server import ModelServer
from tests.repositories import make_repository

HERE = Path(__file__).resolve().parents[1]
SKIPPED = 5
"""Steps at the beginning, in which the loop imports and opens what it needs."""
COLUMNS = ("processor ms", "commands ms", "wall ms", "rows", "KB")


@dataclass(frozen=True, slots=True)
class Mark:
    """What a run had used when it asked the model for a step."""

    wall: float
    processor: float
    commands: float
    rows: int
    size: int


@dataclass
class Coder:
    """A model that runs a command, or reads a file, `steps` times, and then does its step of the plan."""

    steps: int
    command: bool
    database: Path
    pid: int = 0
    marks: dict[int, Mark] = field(default_factory=dict)
    marked: frozenset[int] = frozenset()

    def __call__(self, request: ModelRequest) -> Reply:
        if "write_file" not in request.tool_names:
            return CompetentScript(files=SLUGIFY)(request)
        number = len(request.tool_results)
        if number in self.marked and number not in self.marks:
            self.marks[number] = self._mark()
        if number >= self.steps:
            return CompetentScript(files=SLUGIFY)(request)
        if self.command:
            return call("run_command", command=f"echo the output of command {number}")
        return call("read_file", path="slugs/text.py", start=1, end=2 + number)

    def _mark(self) -> Mark:
        words = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        own, children = (sum(map(int, words[at : at + 2])) / os.sysconf("SC_CLK_TCK") for at in (11, 13))
        rows = size = 0
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True) as database:
            for query in ("SELECT count(*), sum(length(checkpoint) + length(metadata)) FROM checkpoints",
                          "SELECT 0, sum(length(value)) FROM writes"):  # fmt: skip
                found, taken = database.execute(query).fetchone()
                rows, size = rows + found, size + (taken or 0)
        return Mark(time.perf_counter(), own, children, rows, size)


@dataclass
class Case:
    """One checkout, and what was measured of it."""

    name: str
    root: Path
    found: dict[str, list[tuple[float, ...]]] = field(default_factory=lambda: {"early": [], "late": []})

    def measure(self, folder: Path, steps: int, *, command: bool, sandbox: str, api: str) -> None:
        """Run a thread with so many steps, and note the first and the last part of it."""
        repo = make_repository(folder / "repo", SLUGS)
        part = max(10, steps // 5)
        spans = {"early": (SKIPPED, SKIPPED + part), "late": (steps - part, steps)}
        coder = Coder(steps, command, RepoLayout(repo).database, marked=frozenset(sum(spans.values(), ())))
        with ModelServer(coder) as server:
            limits = {"max_model_calls": None, "max_loop_calls": 100_000}
            llm = {**dict.fromkeys(("coder", "reasoning", "router", "summarizer", "supervisor"), "primary"),
                   "primary": openai(server.v1, context_length=50_000_000, api=api)}  # fmt: skip
            settings = {"llm": llm, "budget": limits, "sandbox": {"mode": sandbox}}
            config = folder / "config.json"
            config.write_text(json.dumps(settings), encoding="utf-8")
            kept = {key: value for key, value in os.environ.items() if not key.startswith(("ROLECALL_", "PYTHON"))}
            env = {**kept, "HOME": str(folder), "ROLECALL_STATE_DIR": str(folder / "state")}
            words = ["run", "Add slugify", "--yes", "--quiet", "--no-supervisor", "--config", str(config)]
            process = subprocess.Popen(
                [self.root / ".venv/bin/rolecall", *words], cwd=repo, env=env, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            coder.pid = process.pid
            said, _ = process.communicate()
        if process.returncode != 0:
            raise SystemExit(f"{self.name} ended with {process.returncode}:\n{said}\n{server.errors}")
        for name, (first, last) in spans.items():
            a, b, n = coder.marks[first], coder.marks[last], last - first
            self.found[name].append((
                (b.processor - a.processor) * 1000 / n, (b.commands - a.commands) * 1000 / n,
                (b.wall - a.wall) * 1000 / n, (b.rows - a.rows) / n, (b.size - a.size) / 1000 / n,
            ))  # fmt: skip

    def lines(self) -> list[str]:
        """Medians per step."""
        made = []
        for name, rounds in self.found.items():
            medians = [statistics.median(column) for column in zip(*rounds, strict=True)]
            made.append(f"{self.name:<10}{name:<8}" + "".join(f"{number:>14.1f}" for number in medians))
        return made


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, help="another checkout, with a venv of its own")
    parser.add_argument("--steps", type=int, nargs="+", default=[60, 250])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tool", choices=("command", "read"), default="command")
    parser.add_argument("--sandbox", choices=("host", "bubblewrap"), default="host")
    parser.add_argument("--api", choices=("chat", "responses"), default="chat")
    options = parser.parse_args()
    for steps in options.steps:
        cases = [Case("here", HERE)]
        if options.against is not None:
            cases.append(Case("against", options.against.resolve()))
        for _ in range(options.rounds):
            for case in cases:
                with tempfile.TemporaryDirectory() as folder:
                    case.measure(Path(folder), steps, command=options.tool == "command", sandbox=options.sandbox,
                                 api=options.api)  # fmt: skip
        print(
            f"{steps} steps ({options.tool}, {options.sandbox}, {options.api}), per step, load {os.getloadavg()[0]:.1f}"
        )
        print(" " * 18 + "".join(f"{column:>14}" for column in COLUMNS))
        print("\n".join(line for case in cases for line in case.lines()), flush=True)


if __name__ == "__main__":
    main()
