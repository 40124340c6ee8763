import json
import subprocess
import sys

from tests.architecture.sources import HOUSE, WORKER, python_files

WATCHED = """
import importlib, json, os, sys, threading
import urllib3  # finds out on import, by binding to ::1, whether there is IPv6

seen = []
NETWORK = ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto", "subprocess.Popen", "os.fork")
FILES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "sqlite3.connect",
         "shutil.copyfile", "tempfile.mkstemp", "tempfile.mkdtemp")

def watch(event, args):
    if event in NETWORK or event in FILES:
        seen.append(f"{event} {args[:2]!r}")
    elif event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        if args[0] != os.devnull:
            seen.append(f"{event} {args[0]!r} for writing")

sys.addaudithook(watch)
before = dict(os.environ)
for name in json.load(sys.stdin):
    count = len(seen)
    importlib.import_module(name)
    seen[count:] = [f"importing {name}: {what}" for what in seen[count:]]
if dict(os.environ) != before:
    seen.append(f"environment changed: {sorted(set(os.environ.items()) ^ set(before.items()))}")
if threading.active_count() > 1:
    seen.append(f"threads were started: {threading.enumerate()}")
print(json.dumps(seen))
"""


def modules() -> list[str]:
    product = [path for path in python_files(product_only=True) if not path.startswith(WORKER)]
    return [path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in product]


def effects_of(names: list[str]) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-B", "-c", WATCHED],
        cwd=HOUSE, input=json.dumps(names), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_importing_the_whole_house_does_nothing() -> None:
    """No socket, no file, no process, no thread, no word, and the environment as it was."""
    names = modules()
    assert {
        "rolecall.cli",
        "graph.build",
        "nodes.implement",
        "llm_registry.registry",
        "rolecall.web.studio_graph",
    } <= set(names)
    assert effects_of(names) == []


def test_an_effect_would_be_seen() -> None:
    assert any("os.mkdir" in effect for effect in effects_of(["tests.architecture.untidy"]))


def test_the_floors_and_rooms_of_the_house_are_kept() -> None:
    script = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", script, "--no-cache"],
        cwd=HOUSE, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "7 kept, 0 broken" in done.stdout
