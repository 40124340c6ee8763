"""The `version` command."""

import argparse
import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed

from rolecall.invocation import Invocation
from rolecall.output.jsonl import write_answer

STANDS_ON = ("langgraph", "langchain", "langgraph-checkpoint-sqlite", "pydantic")


def version(options: argparse.Namespace, invocation: Invocation) -> int:
    """Print the versions of rolecall, Python and the graph's dependencies."""
    versions = {name: version_of(name) for name in ("rolecall", *STANDS_ON)} | {"python": platform.python_version()}
    if options.json:
        write_answer({"versions": versions})
    else:
        rest = ", ".join(f"{name} {number}" for name, number in versions.items() if name != "rolecall")
        print(f"rolecall {versions['rolecall']}\n{rest}")
    return 0


def version_of(name: str) -> str:
    """The version of an installed distribution."""
    try:
        return installed(name)
    except PackageNotFoundError:
        return "not installed"
