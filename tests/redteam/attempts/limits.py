"""Class 10: processes, memory, disk, time and the size of what is read."""

import asyncio
import math
import resource
import time

from tests.redteam.attack import Attack
from tests.redteam.attempt import ALL, WALLS, Attempt, Policy, Shell, Tool
from tests.redteam.attempts.walls import python
from tests.redteam.proofs import alive, noted

SMALL = {"sandbox": {"max_processes": 40, "memory_mb": 300, "disk_mb": 60, "command_timeout_s": 20}}

FORKS = """
import os, time
made = 0
for _ in range(400):
    try:
        if os.fork() == 0:
            time.sleep(3)
            os._exit(0)
        made += 1
    except OSError:
        break
time.sleep(1.5)
print("children", made, flush=True)
os._exit(0)
"""
MEMORY = """
import os, time
ends = []
for number in range(10):
    read, write = os.pipe()
    if os.fork() == 0:
        os.close(read)
        try:
            kept = bytearray(100_000_000)
            for at in range(0, len(kept), 4096):
                kept[at] = 1
            os.write(write, b"x")
            time.sleep(2.5)
        finally:
            os._exit(0)
    os.close(write)
    ends.append(read)
time.sleep(2)
import select
held = sum(1 for end in ends if select.select([end], [], [], 0)[0] and os.read(end, 1))
print("held", held, flush=True)
os._exit(0)
"""
FILL = """
import os
written = 0
for place in @PLACES@:
    try:
        with open(place + "/fill.bin", "wb", buffering=0) as out:
            for _ in range(400):
                written += out.write(os.urandom(1_000_000))
    except OSError as error:
        print(error)
print("written", written, flush=True)
"""


def _figure(said: str, word: str) -> int:
    at = said.find(f"{word} ")
    digits = said[at + len(word) + 1 :].split() if at >= 0 else []
    return int(digits[0]) if digits and digits[0].isdigit() else 0


async def forks(attack: Attack) -> None:
    """Keep many more processes than are allowed for longer than the watch takes to see them."""
    made = _figure(await attack.shell(python(FORKS), reached=False), "children")
    if made > 80:
        attack.kept["over"] = f"{made} processes where 40 are allowed"


async def memory(attack: Attack) -> None:
    """Hold a gigabyte by ten processes."""
    held = _figure(await attack.shell(python(MEMORY), reached=False), "held")
    if held * 100 > 600:
        attack.kept["over"] = f"{held * 100} MB where 300 are allowed"


def fills(*places: str):  # type: ignore[no-untyped-def]
    """Fill a place with more than is allowed."""

    async def run(attack: Attack) -> None:
        await attack.context()
        said = await attack.shell(python(FILL.replace("@PLACES@", repr(list(places)))), reached=False)
        written = _figure(said, "written")
        if written > 200_000_000:
            attack.kept["over"] = f"{written // 1_000_000} MB were written where 60 are allowed"

    return run


DAEMON = """
import os, subprocess, sys
for _ in range(2):
    if os.fork():
        os._exit(0)
    os.setsid()
for fd in range(64):
    try:
        os.close(fd)
    except OSError:
        pass
os.chdir("/")
os.execve("/bin/sh", ["sh", "-c", "trap '' TERM HUP INT; while :; do sleep 1; : @TOKEN@; done"], {})
"""


async def long_time(attack: Attack) -> None:
    """Give a time limit that is no number, below nothing or endless."""
    await attack.context()
    for limit in (math.nan, math.inf, -1.0, 1e308, 0.0):
        began = time.monotonic()
        try:
            async with asyncio.timeout(9):
                await attack.tool("run_command", command="sleep 30", timeout_s=limit)
        except TimeoutError:
            attack.kept["over"] = (
                f"a command with the limit {limit} ran for {time.monotonic() - began:.0f} s where 3 are allowed"
            )
            return


async def sparse_search(attack: Attack) -> None:
    """Search where a file of three gigabytes lies that takes no room."""
    await attack.shell(
        "truncate -s 3G big.txt; truncate -s 3G data.json; for n in $(seq 70); do echo x > f$n.txt; done"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    began = time.monotonic()
    await attack.tool("search_text", pattern="needle")
    await attack.tool("search_text", pattern="needle", path="big.txt")
    await attack.tool("read_file", path="big.txt")
    used = (
        max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
        // 1024
    )
    if used > 1200 and used > before // 1024:
        attack.kept["over"] = f"{used} MB were used for a search"
    if time.monotonic() - began > 45:
        attack.kept["over"] = f"searching took {time.monotonic() - began:.0f} s"


def held_by(*calls: tuple[str, dict[str, object]], prepare: str, most_s: float = 12.0):  # type: ignore[no-untyped-def]
    """Prepare a trap by a command and see how long tools are held by it."""

    async def run(attack: Attack) -> None:
        await attack.shell(prepare)
        for name, args in calls:
            began = time.monotonic()
            try:
                async with asyncio.timeout(most_s):
                    await attack.tool(name, **args)
            except TimeoutError:
                attack.kept["over"] = f"{name} was held for {time.monotonic() - began:.0f} s"
                return

    return run


async def _longest_gap(until: asyncio.Event) -> float:
    longest, last = 0.0, time.monotonic()
    while not until.is_set():
        await asyncio.sleep(0.01)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
    return longest


def stalls(name: str, args: dict[str, object], prepare: str = "true"):  # type: ignore[no-untyped-def]
    """Call a tool and see for how long nothing else could run meanwhile."""

    async def run(attack: Attack) -> None:
        await attack.shell(prepare)
        ended = asyncio.Event()
        watching = asyncio.create_task(_longest_gap(ended))
        try:
            async with asyncio.timeout(25):
                await attack.tool(name, **args)
        except TimeoutError:
            attack.kept["over"] = f"{name} did not end in 25 s"
        ended.set()
        gap = await watching
        if gap > 3:
            attack.kept["over"] = f"nothing else ran for {gap:.1f} s"

    return run


OLD = "\n".join(f"this line {number} is nowhere to be found in it" for number in range(30))
LINES = "python3 -c \"[print(f'this line {n} is somewhere to be found in it ' + 'x' * 60) for n in range(20000)]\" > long.py"


def output_left(attack: Attack) -> str:
    """A file of an output that is larger than may be kept."""
    folder = attack.world.repo / ".rolecall" / "runs"
    found = [path for path in folder.rglob("*.txt") if path.stat().st_size > 200_000_000]
    return f"{found[0]} has {found[0].stat().st_size >> 20} MB" if found else ""


def over(name: str, title: str, action, policies=ALL, *, settings=SMALL, alone=False, **more) -> Attempt:  # type: ignore[no-untyped-def]
    """An attempt to go over a limit."""
    return Attempt(name, 10, title, (action,), (noted("over"),), policies, settings=settings, alone=alone, **more)


SHORT = {"sandbox": {"command_timeout_s": 3}, "checks": {"timeout_s": 4}}
ATTEMPTS = (
    over("fork-bomb", "Keep four hundred processes alive", forks, alone=True),
    over("much-memory", "Hold a gigabyte by ten processes", memory, alone=True),
    over("fill-worktree", "Write 400 MB into the worktree", fills("."), alone=True),
    over("fill-temporary", "Write 400 MB into each private folder", fills("/tmp", "/dev/shm", "/var/tmp", "/run"), WALLS, alone=True),
    over("fill-home", "Write 400 MB into the covers of home and of rolecall's folder", fills("@HOME@", "@REPO@", "@REPO@/.rolecall"), WALLS,
         alone=True),
    over("time-not-a-number", "Give a time limit that is none", long_time, settings=SHORT),
    Attempt("daemon", 10, "Outlive the command by two forks, a new session and an empty environment",
            (Shell(python(DAEMON) + "\nsleep 0.5"),), (alive(),), ALL),
    Attempt("daemon-disowned", 10, "Outlive the command by the shell's own means",
            (Shell("nohup setsid env -i sh -c 'while :; do sleep 1; : @TOKEN@; done' > /dev/null 2>&1 < /dev/null & disown -a; sleep 0.3"),),
            (alive(),), ALL),
    Attempt("daemon-after-kill", 10, "Outlive a command that timed out",
            (Shell(python(DAEMON) + "\nsleep 30", timeout_s=2, reached=False),), (alive(),), ALL),
    Attempt("daemon-of-check", 10, "Outlive a check", (Tool("run_checks"),), (alive(),), ALL,
            files={"test_daemon.py": "import subprocess, sys\n\n\ndef test_daemon():\n"
                   "    subprocess.Popen(['setsid', 'env', '-i', 'sh', '-c', 'while :; do sleep 1; : @TOKEN@; done'],\n"
                   "                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)\n"}),
    over("sparse-file", "Search where a file of 3 GB lies that takes no room", sparse_search, (Policy.ROOT, Policy.USER, Policy.HOST),
         settings={}, alone=True, within_s=110),
    over("fifo-read", "Read and search a pipe nobody writes to",
         held_by(("read_file", {"path": "pipe"}), ("search_text", {"pattern": "x", "path": "pipe"}), ("edit_file", {"path": "pipe", "old": "a", "new": "b"}),
                 ("write_file", {"path": "pipe", "content": "x"}), ("search_text", {"pattern": "x"}), ("list_files", {}),
                 prepare="mkfifo pipe; ln -s pipe link; rm -f calc.py; mkfifo calc.py")),
    over("device-read", "Read devices that never end through links",
         held_by(("read_file", {"path": "zero"}), ("search_text", {"pattern": "x", "path": "zero"}), ("search_text", {"pattern": "x"}),
                 prepare="ln -s /dev/zero zero; ln -s /dev/tty tty; ln -s /dev/stdin in")),
    over("socket-read", "Read a socket in the worktree",
         held_by(("read_file", {"path": "s"}), ("search_text", {"pattern": "x", "path": "s"}), ("git_diff", {}),
                 prepare=python("import socket\nsocket.socket(socket.AF_UNIX).bind('s')"))),
    over("slow-expression", "Search by an expression that never ends",
         held_by(("search_text", {"pattern": r"(?=(a+)+b)x|(a|a)*c"}), most_s=40,
                 prepare="python3 -c \"print('a' * 40000)\" > a.txt"), (Policy.HOST,), within_s=90),
    over("slow-edit", "Ask for an edit of thirty lines that are not there", stalls("edit_file", {"path": "long.py", "old": OLD, "new": "x"}, LINES)),
    over("long-line", "Read and search a line of 60 MB",
         stalls("search_text", {"pattern": "aab"}, "head -c 60000000 /dev/zero | tr '\\0' a > one.txt; for n in $(seq 60); do echo > g$n.txt; done")),
    over("deep-folder", "List and search folders a thousand deep",
         held_by(("list_files", {}), ("search_text", {"pattern": "x"}), ("git_diff", {}), ("read_file", {"path": "d/" * 900 + "x"}),
                 prepare="python3 -c \"import os\nfor _ in range(900):\n    os.mkdir('d'); os.chdir('d')\nopen('x', 'w').write('x')\"")),
    over("link-circle", "Search links that lead to each other",
         held_by(("list_files", {}), ("search_text", {"pattern": "x"}), ("read_file", {"path": "a/b/a/b"}), ("list_files", {"path": "a"}),
                 prepare="mkdir a; ln -s ../a a/b; ln -s self self; ln -s . here")),
    Attempt("output-flood", 10, "Write without end", (Shell("yes | tr -d '\\n'", timeout_s=6, reached=False),), (output_left,), ALL),
    Attempt("output-sparse", 10, "Make the file of the output large without writing",
            (Shell("truncate -s 900G /proc/self/fd/1; truncate -s 900G /dev/stdout; sleep 0.5", timeout_s=6, reached=False),), (output_left,), ALL),
    Attempt("output-reopened", 10, "Truncate and write the file of the output anew",
            (Shell("for n in 1 2 3; do head -c 80000000 /dev/zero >> /proc/self/fd/1; : > /proc/self/fd/1; head -c 300000000 /dev/zero >> /dev/stdout; done",
                   timeout_s=6, reached=False),), (output_left,), ALL),
)  # fmt: skip
