"""Makes one attempt through what the product offers: its tools in a real context, its command line, its servers."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

from core.config.loader import load_settings
from core.context import Context, RunOptions
from core.errors import RolecallError
from graph.context_factory import RunSpec, open_context
from tests.redteam.attempt import Action, Attempt, Cli, Policy, Shell, Tool
from tests.redteam.world import World
from tests.unit.rolecall.command_line import run_piped
from tools.agent.toolbox import coding_tools

HOUSE = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("rolecall")
"""What a user starts."""
INTERPRETER = 5
"""The class of attempts on what an interpreter loads when it starts."""


class BrokenAttemptError(Exception):
    """The attempt could not be made, so it proves nothing."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that ended."""

    code: int
    out: str
    err: str


class Attack:
    """One attempt in its world."""

    def __init__(self, attempt: Attempt, policy: Policy, world: World, kept: dict[str, Any] | None = None) -> None:
        self.attempt = attempt
        self.policy = policy
        self.world = world
        self.refusal = ""
        """What the product said when it would not work here."""
        self.heard: list[str] = []
        """Everything that came back to the attacker: what tools answered, what the screen showed."""
        self.questions: list[dict[str, Any]] = []
        """What the user was asked."""
        self.kept: dict[str, Any] = {} if kept is None else kept
        """What setup, actions and proofs hand each other."""
        self.stack = AsyncExitStack()
        self._context: Context | None = None
        self._graph: Any = None

    async def make(self) -> str:
        """Do what the attempt does, and say what proves that it got out.

        Raises:
            BrokenAttemptError: A part of it could not be done.
        """
        try:
            for action in self.attempt.actions:
                await self._act(action)
        except RolecallError as error:
            self.refusal = f"{error.message} {error.hint}"
            self.heard.append(self.refusal)
            if not self.attempt.refusable:
                raise BrokenAttemptError(f"the product refused: {error.message}") from error
        finally:
            await self.stack.aclose()
        return await asyncio.to_thread(self._proven)

    def _proven(self) -> str:
        return next((found for proof in self.attempt.proofs if (found := proof(self))), "")

    @property
    def transcript(self) -> str:
        """All that was heard."""
        return "\n".join(self.heard)

    @property
    def worktree(self) -> Path:
        """The worktree of the thread that was opened."""
        if self._context is not None:
            return self._context.workspace.root
        raise BrokenAttemptError("no thread was opened")

    async def context(self) -> Context:
        """The collaborators of a thread, opened as a run opens them."""
        if self._context is None and self.attempt.group:
            self._context = self.kept.get("context")
        if self._context is None:
            loaded = await asyncio.to_thread(load_settings, None, repo=self.world.repo)
            options = RunOptions(approve_all=self.attempt.yes, interactive=not self.attempt.yes)
            spec = RunSpec(str(uuid.uuid4()), self.world.repo, loaded.settings, options)
            stack: AsyncExitStack = self.kept["shared"] if self.attempt.group else self.stack
            self._context = await stack.enter_async_context(open_context(spec))
            self.kept["context"] = self._context
        return self._context

    async def calls(self, *calls: tuple[str, dict[str, Any]]) -> list[str]:
        """Let the model call tools, several at once if several are given."""
        context = await self.context()
        graph = self._graph = self._graph or _toolbox()
        named = [{"name": name, "args": args, "id": uuid.uuid4().hex} for name, args in calls]
        config = {"configurable": {"thread_id": uuid.uuid4().hex}}
        given = {"messages": [AIMessage("", tool_calls=named)]}
        result = await graph.ainvoke(given, config, context=context)
        self.questions += [dict(question.value) for question in result.get("__interrupt__", ())]
        said = [str(message.content) for message in result["messages"] if isinstance(message, ToolMessage)]
        self.heard += said
        return said

    async def tool(self, name: str, **args: Any) -> str:
        """Let the model call one tool; "" when a question came instead of an answer."""
        return "\n".join(await self.calls((name, args)))

    async def shell(self, script: str, *, timeout_s: float | None = 20.0, reached: bool = True) -> str:
        """Let the model run a command."""
        last = f"reached {self.world.token}"
        text = self._fill(script)
        said = await self.tool("run_command", command=f"{text}\necho {last}" if reached else text, timeout_s=timeout_s)
        if reached and last not in said:
            raise BrokenAttemptError(f"the command did not come to its end: {said[-1500:]}")
        return said

    async def cli(
        self, *words: str, stdin: str = "", timeout_s: float = 60.0, env: dict[str, str] | None = None
    ) -> Ended:
        """Run `rolecall` as a user does; where the attempt is about what an interpreter loads, by a new interpreter."""
        filled = [self.world.fill(word) for word in words]
        given = {"cwd": self.world.repo, "env": {**os.environ, **(env or {})}, "timeout": timeout_s}
        try:
            if self.attempt.kind == INTERPRETER:
                done = await asyncio.to_thread(
                    subprocess.run, [PROGRAM, *filled], input=stdin.encode(), capture_output=True, check=False, **given
                )
            else:
                done = await asyncio.to_thread(
                    run_piped, filled, stdin=stdin.encode(), server=self.kept["fork server"], **given
                )
        except subprocess.TimeoutExpired as error:
            raise BrokenAttemptError(f"rolecall {words[0]} did not end in {timeout_s} s") from error
        ended = Ended(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))
        self.heard += [ended.out, ended.err]
        return ended

    def configure(self, **sections: Any) -> None:
        """Write the user's configuration file."""
        path = self.world.home / ".config" / "rolecall" / "config.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.world.filled(sections)), encoding="utf-8")

    def listen(self, family: int = socket.AF_INET, address: Any = ("127.0.0.1", 0)) -> "Listener":
        """A server of the host that counts who connects."""
        return Listener(family, address)

    async def _act(self, action: Action) -> None:
        if isinstance(action, Shell):
            await self.shell(action.script, timeout_s=action.timeout_s, reached=action.reached)
        elif isinstance(action, Tool):
            await self.tool(action.name, **self._filled(action.args))
        elif isinstance(action, Cli):
            await self.cli(*action.words, stdin=action.stdin, timeout_s=action.timeout_s)
        else:
            await action(self)

    def _fill(self, text: str) -> str:
        known = self._context.workspace.root if self._context is not None else "."
        return self.world.fill(text).replace("@WORKTREE@", str(known))

    def _filled(self, args: Any) -> dict[str, Any]:
        return {key: self._fill(value) if isinstance(value, str) else value for key, value in args.items()}


class Listener:
    """Counts connections and keeps what they sent."""

    def __init__(self, family: int, address: Any) -> None:
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.bind(address)
        self.socket.listen(16)
        self.connections = 0
        self.received = b""
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.socket.getsockname()[1])

    def _serve(self) -> None:
        while True:
            made, _ = self.socket.accept()
            self.connections += 1
            made.settimeout(1.0)
            try:
                self.received += made.recv(65536)
                made.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello from outside\n")
            except OSError:
                continue
            finally:
                made.close()


def _toolbox() -> Any:
    builder = StateGraph(MessagesState, context_schema=Context)
    builder.add_node("tools", ToolNode(coding_tools()))
    builder.add_edge(START, "tools")
    builder.add_edge("tools", END)
    return builder.compile(InMemorySaver())
