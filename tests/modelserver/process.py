"""Drives a model server in another process, so that a test can kill it and bring it back.

Owns the process and its script file. What the server answers is its script's business.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import httpx

from tests.modelserver.app import STATE_PATH
from tests.modelserver.info import Shape

ROOT = Path(__file__).resolve().parents[2]


class ModelServerProcess:
    """A server process; use it as a context manager.

    Args:
        script: the script as JSON data; see `script.read_script`.
        folder: where the script file is written.
        shape: which server it looks like.
        arguments: further command line arguments.
    """

    def __init__(
        self,
        script: Mapping[str, Any] | list[Any],
        folder: Path,
        *,
        shape: Shape = Shape.OPENAI,
        arguments: tuple[str, ...] = (),
    ) -> None:
        self._file = folder / "script.json"
        self._file.write_text(json.dumps(script), encoding="utf-8")
        self._arguments = ("--shape", shape.value, *arguments)
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """The address without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def v1(self) -> str:
        """The `base_url` of OpenAI clients."""
        return f"{self.url}/v1"

    def start(self) -> Self:
        """Start, on the port of the last time if there was one; the script begins anew.

        Raises:
            RuntimeError: the server ended before it printed its URL.
        """
        command = [sys.executable, "-m", "tests.modelserver", "--script", str(self._file)]
        self._process = subprocess.Popen(
            [*command, "--port", str(self.port), *self._arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line.startswith("http://"):
            code = self.stop()
            raise RuntimeError(f"the model server ended with {code} and said {line!r}")
        self.port = int(line.rsplit(":", 1)[1])
        return self

    def kill(self) -> None:
        """SIGKILL, in the middle of whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._collect()

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        if self._process is None:
            return 0
        self._process.terminate()
        return self._collect()

    def state(self) -> dict[str, Any]:
        """What the running server remembers; see `record.Record.summary`."""
        told: dict[str, Any] = httpx.get(f"{self.url}{STATE_PATH}").json()
        return told

    def _collect(self) -> int:
        assert self._process is not None
        assert self._process.stdout is not None
        code = self._process.wait(timeout=10)
        self._process.stdout.close()
        self._process = None
        return code

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
