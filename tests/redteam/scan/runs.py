"""The runs: one user's repository and servers, and every way to use rolecall that may leave something behind."""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.modelserver.competent import CompetentScript, Step
from tests.modelserver.info import Shape
from tests.modelserver.server import ModelServer
from tests.redteam.scan.planted import Planted, make, plant
from tests.redteam.scan.search import git_objects
from tests.redteam.scan.tap import Tap
from tests.redteam.servers import Answering
from tests.unit.rolecall.command_line import Begun, run_piped

TASK = "Add a function split to words.py"
SNOOPING = (
    "cat .env services/api/.env config/master.key .npmrc deploy/id_rsa settings_local.py config/.env.production",
    "cat notes.md; grep -rn opens .; git log -p -3; git show HEAD:config/.env.production",
    "env; git config --list; git remote -v; cat .git/config ../../.git/config",
    "cat ~/.ssh/id_ed25519 ~/.cargo/credentials.toml; python test_words.py; python -m pytest -s -q",
)
"""What a curious model tries."""
WORK = CompetentScript(
    steps=[Step("Write words.py", files={"words.py": "def join(*parts):\n    return ''.join(parts)\n\n\n"
                                         "def split(text):\n    return list(text)\n"}, commands=SNOOPING)]
)  # fmt: skip
SLOW = CompetentScript(steps=WORK.steps, pace=0.15)
PATIENCE_S = 300


@dataclass
class World:
    """Everything a scan looks at."""

    folder: Path
    planted: Planted
    taps: dict[str, Tap]
    answering: dict[str, Answering]
    slow: ModelServer
    objects_before: frozenset[str] = frozenset()
    said: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    """Exit code, stdout and stderr by name of run."""

    @property
    def repo(self) -> Path:
        """The user's checkout."""
        return self.folder / "repo"

    @property
    def home(self) -> Path:
        """The user's home."""
        return self.folder / "home"

    @property
    def state(self) -> Path:
        """What all runs of the user share."""
        return self.folder / "state"

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """The user's environment."""
        ours = ("ROLECALL_", "PYTHON", "XDG_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return {
            **kept, "HOME": str(self.home), "ROLECALL_STATE_DIR": str(self.state),
            "GATE_WORDS": self.planted["config ${VAR}"], "DEPLOY_TOKEN": self.planted["variable, usual name"],
            "CORPORATE_LICENCE": self.planted["variable, unusual name"], **more,
        }  # fmt: skip

    def do(self, name: str, *words: str, stdin: str = "", **more: str) -> str:
        """Run one call to its end; returns its stdout."""
        done = run_piped(
            words, cwd=self.repo, env=self.environment(more), stdin=stdin.encode(), timeout=PATIENCE_S
        )  # fmt: skip
        out = done.stdout.decode()
        self.said[name] = (done.returncode, out, done.stderr.decode())
        return out

    def config(self, name: str) -> str:
        """The option that names one of the configurations."""
        return f"--config={self.folder / f'{name}.json'}"


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """Plant everything and start every server."""
    planted = make()
    with ExitStack() as stack:
        main = stack.enter_context(ModelServer(WORK, api_key=planted["config api_key"]))
        slow = stack.enter_context(ModelServer(SLOW, api_key=planted["config api_key"]))
        small = stack.enter_context(ModelServer(WORK, shape=Shape.OLLAMA))
        given = stack.enter_context(ModelServer(WORK))
        ports = {"main": main.port, "slow": slow.port, "small": small.port, "given": given.port}
        taps = {name: stack.enter_context(Tap(port)) for name, port in ports.items()}
        answering = {
            "refusing": Answering(status=401, echo=True), "short": Answering(status=401, echo=True),
            "gone": Answering(status=404, body='{"error": "not here"}'), "collector": Answering(body=""),
        }  # fmt: skip
        for name, each in answering.items():
            taps[name] = stack.enter_context(Tap(each.port))
        made = World(folder, planted, taps, answering, slow)
        for path in (made.repo, made.home, made.state):
            path.mkdir()
        plant(planted, made.repo, made.home)
        made.objects_before = frozenset(git_objects(made.repo))
        for name, content in _configs(planted, taps).items():
            (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
        yield made


def _configs(planted: Planted, taps: Mapping[str, Tap]) -> dict[str, dict[str, Any]]:
    def at(name: str, path: str = "/v1", **more: Any) -> dict[str, Any]:
        url = f"http://127.0.0.1:{taps[name].port}{path}"
        limits = {"connect": 5.0, "first_token": 60.0, "idle": 60.0}
        return {"provider": "openai_compatible", "model": "scripted", "base_url": url, "timeouts": limits, **more}

    gated = {"api_key": planted["config api_key"], "options": {"headers": {"X-Gate": planted["config header"]}}}
    user = f"http://ada:{quote(planted['key in URL userinfo'], safe='')}@127.0.0.1:{taps['small'].port}"
    llm = {
        "primary": at("main", **gated), "coder": "primary", "reasoning": "primary", "supervisor": "primary",
        "summarizer": at("small", provider="ollama", fallback=["primary"]) | {"base_url": user},
        "router": at("gone", f"/v1?key={planted['key in URL query']}", fallback=["primary"]),
    }  # fmt: skip
    main = {"llm": llm, "telemetry": {"record_prompts": True}}
    otel = {"otel": True, "otlp_endpoint": f"http://127.0.0.1:{taps['collector'].port}",
            "otlp_headers": {"X-Otlp": planted["otlp header"]}}  # fmt: skip

    def alone(spec: dict[str, Any]) -> dict[str, Any]:
        return {"llm": {"primary": spec, **dict.fromkeys(("coder", "router", "summarizer", "supervisor"), "primary")}}

    broken = {"llm": {"primary": {**at("main", **gated), "api_key": [planted["config api_key"]]}}}
    return {
        "main": main, "otel": {**main, "telemetry": otel}, "refused": alone(at("refusing", api_key="${GATE_WORDS}")),
        "short": alone(at("short", api_key=planted["short key"])), "slow": alone(at("slow", **gated)), "broken": broken,
    }  # fmt: skip


def run_all(made: World) -> None:
    """Make all runs, two at a time where they need not wait for each other."""
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(one, made) for one in (_jobs, _refusals, _interrupted, _detached, _looks)]:
            done.result()
    _afterwards(made)


def _jobs(made: World) -> None:
    main, task = made.config("main"), f"{TASK}; my token is {made.planted['token in the task']}"
    made.do("success, token in the task", "run", task, main, "--yes", "--checks", "python -m pytest -s -q")
    made.do("success as JSON", "run", TASK, main, "--yes", "--json", "--debug", "-vv")
    made.do("failure", "run", TASK, main, "--yes", "--checks", "python -m pytest -s -q; false", "--max-minutes=1")
    made.do("spans", "run", TASK, made.config("otel"), "--yes", "--quiet")
    url = f"http://ada:{made.planted['--model key']}@127.0.0.1:{made.taps['given'].port}/v1"
    made.do("key in --model", "run", TASK, main, "--yes", "--json", f"--model=coder=openai_compatible:scripted@{url}")
    made.do("key in --model, mistaken", "run", TASK, main, "--yes", f"--model=coder=nothing:scripted@{url}")


def _refusals(made: World) -> None:
    refused = made.config("refused")
    made.do("401", "run", TASK, refused, "--yes")
    made.do("401 as JSON, debug", "run", TASK, refused, "--yes", "--json", "--debug", "-vv")
    made.do("401, short key", "run", TASK, made.config("short"), "--yes", "--debug")
    made.do("401 in bench", "models", "bench", "--limit=1", refused, "--json")
    made.do("401 in doctor", "doctor", "--live", refused)
    made.do("broken config", "run", TASK, made.config("broken"), "--debug")
    words = json.dumps({"api_key": made.planted["variable, broken JSON"]})[:-1]
    made.do("broken variable", "run", TASK, made.config("main"), "--debug", ROLECALL_LLM__PRIMARY=words)


def _interrupted(made: World) -> None:
    slow = made.config("slow")
    process = Begun("run", TASK, slow, "--yes", "--json", cwd=made.repo, env=made.environment({}))
    events = [json.loads(process.stdout.readline())]
    while events[-1]["event"] != "tool_started":
        events.append(json.loads(process.stdout.readline()))
    thread = events[-1]["thread"]
    word = f"Use {made.planted['token in a steering word']} for the tests"
    made.do("steering", "steer", thread, word)
    made.do("urgent steering", "steer", thread, "--urgent", "--json", word)
    time.sleep(1.0)
    process.kill()
    rest, errors = process.communicate()
    made.said["killed"] = (-9, "\n".join(map(json.dumps, events)) + rest, errors)
    made.do("resumed", "resume", thread, "--yes", "--debug")


def _detached(made: World) -> None:
    url = f"http://ada:{made.planted['--model key']}@127.0.0.1:{made.taps['given'].port}/v1"
    words = ("run", TASK, made.config("main"), "--yes", "--background")
    thread = made.do("background", *words, f"--model=coder=openai_compatible:scripted@{url}").strip()
    listed = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    mine = [line for line in listed.splitlines() if thread in line]
    made.said["ps"] = (0, "\n".join(mine), "")
    made.do("watch", "watch", thread)


def _looks(made: World) -> None:
    main = made.config("main")
    made.do("doctor", "doctor", main)
    made.do("doctor, live, JSON", "doctor", "--live", "--json", main)
    made.do("models", "models", main)
    made.do("bench", "models", "bench", "--limit=1", main)
    made.do("config show", "config", "show", main)
    made.do("config show as JSON", "config", "show", main, "--json")
    made.do("repair", "repair")


def _afterwards(made: World) -> None:
    listed = json.loads(made.do("threads as JSON", "threads", "--json") or "[]")
    made.do("threads", "threads")
    rows = listed if isinstance(listed, list) else listed.get("threads", [])
    for number, row in enumerate(rows[:3]):
        made.do(f"threads show {number}", "threads", "show", row["thread_id"])
        made.do(f"log {number}", "log", row["thread_id"])
        made.do(f"diff {number}", "diff", row["thread_id"])
    for row in rows:
        if row["options"].get("models"):
            made.do("resumed without its key", "resume", row["thread_id"], "--yes")
