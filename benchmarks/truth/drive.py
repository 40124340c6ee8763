"""Drives a case as its user would: the real command line, real servers, a real repository. It compares nothing."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from benchmarks.truth.case import Case, Drive
from benchmarks.truth.seen import Call
from tests.modelserver.frames import Turn
from tests.modelserver.reply import Reply
from tests.modelserver.request import ModelRequest
from tests.modelserver.script import Script, as_script
from tests.modelserver.server import ModelServer, closed_port
from tests.modelserver.spoil import settle
from tests.repositories import make_repository, write
from tests.unit.rolecall.terminal import Terminal

HOUSE = Path(__file__).parents[2]
PATIENCE_S = 600.0
ROLES = ("primary", "coder", "reasoning", "router", "summarizer", "supervisor")
PROGRAM = (sys.executable, "-m", "rolecall")


class Noted:
    """A script that remembers what it answered to which request."""

    def __init__(self, script: Script | Reply) -> None:
        self._script = as_script(script)
        self.answers: dict[int, tuple[ModelRequest, Reply, int]] = {}
        """Request, reply and tokens of the reply, by index."""

    def __call__(self, request: ModelRequest) -> Reply:
        reply = self._script(request)
        said = settle(reply, request)
        self.answers[request.index] = (request, reply, Turn(request, said, "0", 0, 0).completion_tokens)
        return reply


@dataclass(slots=True)
class World:
    """A user's repository, home and servers."""

    case: Case
    folder: Path
    servers: Mapping[str, ModelServer]
    scripts: Mapping[str, Noted]
    program: tuple[str, ...] = PROGRAM
    calls: dict[str, list[Call]] = field(default_factory=dict)
    """By thread."""
    was_down: bool = False

    @property
    def repo(self) -> Path:
        return self.folder / "repo"

    def environment(self) -> dict[str, str]:
        ours = ("ROLECALL_", "PYTHON", "XDG_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        state = {"HOME": str(self.folder / "home"), "ROLECALL_STATE_DIR": str(self.folder / "state")}
        return {**kept, **state, "ROLECALL_CONFIG": "", "PYTHONPATH": str(HOUSE)}

    def asked(self) -> int:
        return sum(len(script.answers) for script in self.scripts.values())

    def call(self, *words: str) -> Call:
        """A command to its end, with nobody at a terminal."""
        began = time.time()
        done = subprocess.run(
            [*self.program, *words], cwd=self.repo, env=self.environment(), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=PATIENCE_S,
        )  # fmt: skip
        return Call(words, done.returncode, done.stdout, done.stderr, began, time.time())

    def shell(self, line: str) -> Call:
        """A command line as it was suggested, word for word."""
        began, before = time.time(), self.asked()
        done = subprocess.run(
            ["bash", "-c", line], cwd=self.repo, env=self.environment(), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=PATIENCE_S,
        )  # fmt: skip
        words = tuple(line.rpartition("rolecall ")[2].split())
        asked = self.asked() - before
        return Call(words, done.returncode, done.stdout, done.stderr, began, time.time(), asked, "resume" in words)


@contextmanager
def world(case: Case, folder: Path, program: tuple[str, ...] = PROGRAM) -> Iterator[World]:
    """Make the repository and start the servers."""
    for name in ("home", "state"):
        (folder / name).mkdir()
    make_repository(folder / "repo", case.repo)
    write(folder / "repo", case.dirty)
    scripts = {"main": Noted(case.script() if case.script else _silent), "spare": Noted(case.spare())}
    with ModelServer(scripts["main"]) as main, ModelServer(scripts["spare"]) as spare:
        made = World(case, folder, {"main": main, "spare": spare}, scripts, program)
        if case.script:
            (folder / "models.json").write_text(json.dumps(_config(case, made)), encoding="utf-8")
        yield made


def _silent(_: ModelRequest) -> Reply:
    msg = "nobody was to be asked"
    raise AssertionError(msg)


def _config(case: Case, made: World) -> dict[str, Any]:
    roles = {role: {"provider": "openai_compatible", "model": f"m-{role}", "base_url": "{main}"} for role in ROLES}
    rare = {"status_every_s": 3600}  # on a busy machine a run's end would cut off a call for a status line
    text = json.dumps({"supervisor": rare, "llm": {**roles, **case.roles}, **case.config})
    closed = f"http://127.0.0.1:{closed_port()}/v1"
    for name, url in {"main": made.servers["main"].v1, "spare": made.servers["spare"].v1, "closed": closed}.items():
        text = text.replace(f"{{{name}}}", url)
    config: dict[str, Any] = json.loads(text)
    return config


def drive(made: World, case: Case) -> str:
    """Do what the case says; returns the thread."""
    thread = str(uuid4())
    made.calls[thread] = []
    for number, one in enumerate(case.drives):
        made.calls[thread].append(_driven(made, case, one, thread, first=number == 0))
    return thread


def _driven(made: World, case: Case, one: Drive, thread: str, *, first: bool) -> Call:
    words = tuple(word.replace("{spare}", made.servers["spare"].v1) for word in one.words)
    if not first and words and words[0] in {"apply", "diff", "threads", "log"}:
        return made.call(words[0], *words[1:], thread)
    options = (*(["--yes"] if case.yes else []), *(["--json"] if one.manner == "json" else []), *words)
    if first:
        config = (f"--config={made.folder / 'models.json'}",) if case.script else ()
        words = ("run", case.task, "--thread", thread, *config, *options)
    else:
        words = ("resume", thread, *options)
    began = time.time()
    with _on_terminal(made, words) if one.manner == "screen" else _in_pipes(made, words) as child:
        for act in one.acts:
            _act(made, child, act, thread)
        code = child.end()
    return Call(words, code, child.out, child.err, began, time.time(), drives=True)


class _Piped:
    """A command without a terminal; what it says is gathered while it runs."""

    def __init__(self, made: World, words: tuple[str, ...]) -> None:
        self.process = subprocess.Popen(
            [*made.program, *words], cwd=made.repo, env=made.environment(), stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self._said: dict[str, list[str]] = {"out": [], "err": []}
        self._readers = [
            threading.Thread(target=self._read, args=(name, stream), daemon=True)
            for name, stream in (("out", self.process.stdout), ("err", self.process.stderr))
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, name: str, stream: Any) -> None:
        for line in stream:
            self._said[name].append(line)

    @property
    def out(self) -> str:
        return "".join(self._said["out"])

    @property
    def err(self) -> str:
        return "".join(self._said["err"])

    def look(self) -> None:
        """Its readers do that."""

    def see(self, text: str) -> None:
        _wait(self, lambda: text in self.out + self.err, f"{text!r} was not said")

    def kick(self, name: str) -> None:
        self.process.send_signal(signal.Signals[f"SIG{name}"])

    def end(self) -> int:
        code = self.process.wait(PATIENCE_S)
        for reader in self._readers:
            reader.join(5)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        return code


class _Shown:
    """A command on a terminal of its own."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self.err = ""

    @property
    def out(self) -> str:
        return self._terminal.text

    def look(self) -> None:
        self._terminal.look()

    def see(self, text: str) -> None:
        self._terminal.wait_for(text, seconds=PATIENCE_S)

    def type(self, keys: str) -> None:
        self._terminal.type(keys)

    def end(self) -> int:
        return self._terminal.end(seconds=PATIENCE_S)


@contextmanager
def _in_pipes(made: World, words: tuple[str, ...]) -> Iterator[_Piped]:
    child = _Piped(made, words)
    try:
        yield child
    finally:
        if child.process.poll() is None:
            child.process.kill()
            child.process.wait()


@contextmanager
def _on_terminal(made: World, words: tuple[str, ...]) -> Iterator[_Shown]:
    with Terminal([*made.program, *words], cwd=made.repo, env=made.environment()) as terminal:
        yield _Shown(terminal)


def _act(made: World, child: Any, act: tuple[str, ...], thread: str) -> None:
    what, *words = act
    match what:
        case "asked":
            _wait(child, lambda: _was_asked(made, words[0]), f"no model was asked for {words[0]!r}")
        case "see":
            child.see(words[0])
        case "type":
            child.type(words[0])
        case "signal":
            child.kick(words[0])
        case "call":
            made.calls[thread].append(made.call(*(word.replace("{thread}", thread) for word in words)))
        case "server" if words[0] == "down":
            made.was_down = True
            made.servers["main"].stop()
        case "server":
            made.servers["main"].start()
        case "sleep":
            time.sleep(float(words[0]))


def _was_asked(made: World, title: str) -> bool:
    """For an object of this title; for "tools" by a model that works, "tools N" for its Nth call and on."""
    asked = [one for script in made.scripts.values() for one, _, _ in list(script.answers.values())]
    if title.startswith("tools"):
        return sum(bool(one.tools) and not one.title for one in asked) >= int(title.removeprefix("tools") or 1)
    return any(one.title == title for one in asked)


def _wait(child: Any, holds: Callable[[], bool], why: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{why}:\n{child.out[-800:]}{child.err[-800:]}")
        child.look()
        time.sleep(0.05)


def brought_up(made: World) -> None:
    """Bring servers back that a case left down, so that advice can be followed."""
    with suppress(OSError, RuntimeError):
        if made.was_down:
            made.servers["main"].stop()
            made.servers["main"].start()
