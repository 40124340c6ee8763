"""The import guard: makes sure that no other `graph/` or `tools/` is imported as ours, then runs the command line.

It owns `sys.path` and the environment variables that must be set before anything heavy is imported. It parses
nothing, and imports nothing of rolecall but the command line.
"""

# ruff: noqa: PTH100, PTH109, PTH118, PTH120 - pathlib costs more than all that is done here
import os
import site
import sys

ORIGINAL_PYTHONPATH = "ROLECALL_ORIGINAL_PYTHONPATH"
"""Keeps the user's `PYTHONPATH` for the programs rolecall starts."""

HOUSE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

DEFAULTS = {
    # Checkpoints are read with an allow-list of types only.
    "LANGGRAPH_STRICT_MSGPACK": "true",
    # Nothing leaves the machine unless the user says so.
    "LANGSMITH_TRACING": "false",
    "LANGCHAIN_TRACING_V2": "false",
}


def guard() -> None:
    """Remove the current directory and `PYTHONPATH` from `sys.path`, add our own, set the environment's defaults."""
    given = os.environ.pop("PYTHONPATH", None)
    if given is not None:
        os.environ[ORIGINAL_PYTHONPATH] = given
    foreign = {os.path.abspath(part) for part in given.split(os.pathsep)} if given else set()
    installed = {os.path.abspath(folder) for folder in site.getsitepackages()}
    if sys.path and os.path.abspath(sys.path[0]) in {os.getcwd(), os.path.join(HOUSE, "rolecall")}:
        del sys.path[0]  # `python -m` puts the current folder there, a script its own
    kept = [entry for entry in sys.path if os.path.abspath(entry) not in foreign - installed]
    if HOUSE not in installed:
        kept = [entry for entry in kept if os.path.abspath(entry) != HOUSE]
        first = next((at for at, entry in enumerate(kept) if os.path.abspath(entry) in installed), len(kept))
        kept.insert(first, HOUSE)  # before other packages' `core` or `tools`, after the standard library
    sys.path[:] = kept
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)


def main() -> int:
    """Run the command line and return its exit code."""
    guard()
    try:
        from rolecall.cli import main as command_line

        return command_line(sys.argv[1:])
    except KeyboardInterrupt:
        print("interrupted before starting", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
