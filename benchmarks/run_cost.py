"""What a run costs beside its work: git processes, database connections, and the start of the commands.

Run it with `python -m benchmarks.run_cost`, or with `--against CHECKOUT` beside another checkout that has a venv of
its own; rounds then alternate, so that a busy machine slows both. Owns the measuring; nothing is asserted.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
COUNTING = """
import os, sys

def count(event, args):
    if event == "sqlite3.connect":
        said = "connections"
    elif event == "subprocess.Popen" and os.path.basename(str(args[0] or args[1][0])) == "git":
        said = "git processes"
    else:
        return
    os.write(log, said.encode() + b"\\n")

log = os.open(os.environ["RUN_COST_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
sys.addaudithook(count)
"""
"""A `sitecustomize` of the measured process: what it opens and starts, one word a line."""
COUNTED = ("git processes", "connections")
TIMED = ("--help", "threads list", "threads show THREAD", "log THREAD", "steer THREAD Keep the public API")
"""THREAD stands for one that a budget stopped (exit 5)."""


@dataclass
class Checkout:
    """A checkout and a repository it has worked in: one thread finished, one stopped."""

    name: str
    program: Path
    folder: Path
    thread: str = ""
    counts: list[Counter[str]] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in ("demo", *TIMED)})

    @property
    def repo(self) -> Path:
        return self.folder / "inventory"

    def call(self, *words: str, more: dict[str, str] | None = None) -> str:
        """Run `rolecall` as this home's user; its standard output."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ROLECALL_", "PYTHON"))}
        env = {**kept, "HOME": str(self.folder), "ROLECALL_STATE_DIR": str(self.folder / "state"), **(more or {})}
        cwd = self.repo if self.repo.is_dir() else self.folder
        done = subprocess.run([self.program, *words], cwd=cwd, env=env, capture_output=True, text=True, check=False)
        if done.returncode not in {0, 5}:
            raise SystemExit(f"{self.program} {' '.join(words)} ended with {done.returncode}:\n{done.stderr}")
        return done.stdout

    def measure_demo(self, repo: Path) -> None:
        """Count and time one demo; the first one makes the repository the other commands are timed on."""
        log = self.folder / "log"
        log.unlink(missing_ok=True)
        hook = self.folder / "hook"
        hook.mkdir(exist_ok=True)
        (hook / "sitecustomize.py").write_text(COUNTING, encoding="utf-8")
        began = time.perf_counter()
        self.call("demo", "--quiet", "--dir", str(repo), more={"PYTHONPATH": str(hook), "RUN_COST_LOG": str(log)})
        self.seconds["demo"].append(time.perf_counter() - began)
        self.counts.append(Counter(log.read_text(encoding="utf-8").splitlines()))

    def stop_a_thread(self) -> None:
        """Leave a second thread in the repository, one that can be resumed."""
        before = self._threads()
        self.call("run", "Make the failing tests pass", "--yes", "--quiet", "--max-minutes", "0.0001")
        self.thread = (self._threads() - before).pop()

    def _threads(self) -> set[str]:
        return {line.split()[0] for line in self.call("threads", "list").splitlines()}

    def measure(self, command: str) -> None:
        """Time one command."""
        words = [self.thread if word == "THREAD" else word for word in command.split()]
        began = time.perf_counter()
        self.call(*words)
        self.seconds[command].append(time.perf_counter() - began)


def table(checkouts: Sequence[Checkout]) -> str:
    """Counts of a demo and medians in seconds, a column per checkout; the ratio to the last where there are two."""
    rows = [("", *(one.name for one in checkouts), "ratio")]
    for name in COUNTED:
        found = [statistics.median(count[name] for count in one.counts) for one in checkouts]
        rows.append((name, *(f"{number:.0f}" for number in found), f"{found[0] / (found[-1] or 1):.2f}"))
    for name in ("demo", *TIMED):
        found = [statistics.median(one.seconds[name]) for one in checkouts]
        rows.append((name, *(f"{number:.2f} s" for number in found), f"{found[0] / found[-1]:.2f}"))
    shown = [row if len(checkouts) > 1 else row[:-1] for row in rows]
    return "\n".join(f"{row[0]:<34}" + "".join(f"{cell:>14}" for cell in row[1:]) for row in shown)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, help="another checkout, with a venv of its own")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        checkouts = []
        for name, root in (("here", HERE), ("against", options.against)):
            if root is not None:
                home = Path(folder) / name
                home.mkdir()
                checkouts.append(Checkout(name, root.resolve() / ".venv/bin/rolecall", home))
        for number in range(min(options.rounds, 3)):
            for one in checkouts:
                one.measure_demo(one.folder / f"demo-{number}" if number else one.repo)
        for one in checkouts:
            one.stop_a_thread()
        for _ in range(options.rounds):
            for command in TIMED:
                for one in checkouts:
                    one.measure(command)
        print(table(checkouts))


if __name__ == "__main__":
    main()
