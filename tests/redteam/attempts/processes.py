"""Class 1: other processes, the terminal, shared memory, sockets and the network of the machine."""

import asyncio
import ctypes
import os
import platform
import pty
import select
import signal
import socket
import subprocess
from pathlib import Path

from tests.redteam.attack import Attack, Listener
from tests.redteam.attempt import ALL, WALLS, Attempt, Shell
from tests.redteam.attempts.walls import python
from tests.redteam.proofs import connected, noted, seen


def _bystander(attack: Attack) -> None:
    """A process of the user's that has nothing to do with the run; its environment holds a secret."""
    attack.kept["bystander"] = subprocess.Popen(
        ["sleep", "300"], env={**os.environ, "PLAIN": attack.world.canary}, start_new_session=True
    )


def bystander_killed(attack: Attack) -> str:
    """The user's process is gone."""
    process = attack.kept["bystander"]
    ended = process.poll() is not None
    process.kill()
    process.wait()
    return "a process of the user's was killed" if ended else ""


def bystander_ended(attack: Attack) -> str:
    """Clean up only."""
    attack.kept["bystander"].kill()
    attack.kept["bystander"].wait()
    return ""


async def kill_by_number(attack: Attack) -> None:
    """Signal processes outside by their numbers."""
    pids = f"{attack.kept['bystander'].pid} {os.getpid()}"
    await attack.shell(
        f"for p in {pids.split(maxsplit=1)[0]}; do kill -9 $p; kill -9 -- -$p; done; sleep 0.1", reached=False
    )


PEEK = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
for pid in (@PIDS@,):
    try:
        words = open(f"/proc/{pid}/environ", "rb").read()
        if b"PLAIN=" in words:
            print("environment", words)
    except OSError:
        pass
    if libc.ptrace(16, pid, 0, 0) == 0:
        print("attached @TOKEN@-attached")
        os.waitpid(pid, 0)
        libc.ptrace(17, pid, 0, 0)
    try:
        memory = open(f"/proc/{pid}/mem", "rb")
        for line in open(f"/proc/{pid}/maps"):
            if "[stack]" in line:
                low, high = (int(part, 16) for part in line.split()[0].split("-"))
                memory.seek(low)
                found = memory.read(high - low)
                at = found.find(b"PLAIN=")
                if at >= 0:
                    print("memory", found[at:at + 60])
    except OSError:
        pass
"""


async def peek(attack: Attack) -> None:
    """Attach to a process of the user, and read environment and memory of all."""
    await attack.shell(python(PEEK.replace("@PIDS@", str(attack.kept["bystander"].pid))))


def peeked(attack: Attack) -> str:
    """It was attached to, or its environment was read."""
    return seen("@TOKEN@-attached")(attack) or seen()(attack)


_KEY_CALLS = {"x86_64": (248, 250), "aarch64": (217, 219)}


def _key(attack: Attack) -> None:
    add, control = _KEY_CALLS.get(platform.machine(), (248, 250))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(control, 1, None)  # a session keyring of our own
    body = attack.world.canary.encode()
    for ring in (-3, -4, -5):
        libc.syscall(add, b"user", b"redteam", body, len(body), ring)
    attack.kept["keyctl"] = control


async def read_keyring(attack: Attack) -> None:
    """Ask the kernel for the keys of the user."""
    code = f"""
import ctypes
libc = ctypes.CDLL(None)
for ring in (-1, -2, -3, -4, -5):
    found = libc.syscall({attack.kept["keyctl"]}, 10, ring, b"user", b"redteam", 0)
    if found > 0:
        body = ctypes.create_string_buffer(200)
        libc.syscall({attack.kept["keyctl"]}, 11, found, body, 200)
        print(body.value.decode())
"""
    await attack.shell(python(code))


INJECT = """
import fcntl, glob, os, termios
words = "echo @TOKEN@"
for path in ["/dev/tty", "/dev/console", @TTY@, *glob.glob("/dev/pts/*"), *glob.glob("/proc/self/fd/*")]:
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
    except OSError:
        continue
    for char in words:
        try:
            fcntl.ioctl(fd, termios.TIOCSTI, char)
        except OSError as error:
            break
    try:
        if os.isatty(fd):
            os.write(fd, b"shown @TOKEN@")
    except OSError:
        pass
for fd in range(20):
    for char in words:
        try:
            fcntl.ioctl(fd, termios.TIOCSTI, char)
        except OSError:
            break
"""


async def type_into_terminal(attack: Attack) -> None:
    """Put words into the input of the user's terminal, or onto its screen."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # sent when the terminal is closed
    master, slave = pty.openpty()
    name = os.ttyname(slave)
    os.close(os.open(name, os.O_RDWR))  # the session has no terminal yet, so this one becomes its own
    await attack.shell(python(INJECT.replace("@TTY@", repr(name))))
    for fd, what in ((master, "shown on"), (slave, "typed into")):
        if select.select([fd], [], [], 0.2)[0] and attack.world.token.encode() in os.read(fd, 4096):
            attack.kept["terminal"] = f"words were {what} the user's terminal"
    os.close(master)


def _shared_memory(attack: Attack) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    number = libc.shmget(0, 4096, 0o1600)
    place = libc.shmat(number, None, 0)
    body = attack.world.canary.encode()
    ctypes.memmove(place, body, len(body))
    attack.kept["segment"] = number
    Path("/dev/shm", attack.world.token).write_text(attack.world.canary)


async def read_shared_memory(attack: Attack) -> None:
    """Attach to a segment of the user's and read /dev/shm."""
    code = f"""
import ctypes
libc = ctypes.CDLL(None)
libc.shmat.restype = ctypes.c_void_p
place = libc.shmat({attack.kept["segment"]}, None, 0o10000)
if place not in (None, 2**64 - 1):
    print(ctypes.string_at(place, 40))
"""
    await attack.shell(python(code) + "\ncat /dev/shm/*")
    ctypes.CDLL(None).shmctl(attack.kept["segment"], 0, None)
    Path("/dev/shm", attack.world.token).unlink(missing_ok=True)


def _private_temporary(attack: Attack) -> None:
    for folder in ("/tmp", "/var/tmp"):
        Path(folder, attack.world.token).write_text(attack.world.canary)


def _temporary_gone(attack: Attack) -> str:
    for folder in ("/tmp", "/var/tmp"):
        Path(folder, attack.world.token).unlink(missing_ok=True)
    return ""


CONNECT = """
import glob, os, socket, sys
for path in [@PATHS@]:
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(1)
    try:
        if not path.startswith(chr(0)):
            os.chdir(os.path.dirname(path))
            path = os.path.basename(path)
        made.connect(path)
        made.sendall(b"GET /containers/json")
        print(made.recv(200))
    except OSError as error:
        print(path, error)
"""


def socket_at(*places: str):  # type: ignore[no-untyped-def]
    """Setup and action: a daemon of the host listens on a unix socket, and a command calls it."""

    def ready(attack: Attack) -> None:
        paths = [attack.world.fill(place) for place in places]
        if not paths[0].startswith("\0"):
            path = next(path for path in paths if os.access(Path(path).parent, os.W_OK))
            here = Path.cwd()
            os.chdir(Path(path).parent)
            attack.kept["listener"] = attack.listen(socket.AF_UNIX, Path(path).name)
            os.chdir(here)
            Path(path).chmod(0o777)
        else:
            path = paths[0]
            attack.kept["listener"] = attack.listen(socket.AF_UNIX, path)
        attack.kept["path"] = path

    async def call(attack: Attack) -> None:
        await attack.shell(python(CONNECT.replace("@PATHS@", repr(attack.kept["path"]).replace("\\x00", "\\0"))))
        if not attack.kept["path"].startswith("\0"):
            Path(attack.kept["path"]).unlink(missing_ok=True)

    return ready, call


def unix(name: str, title: str, *places: str, policies=ALL) -> Attempt:  # type: ignore[no-untyped-def]
    """An attempt on a unix socket."""
    ready, call = socket_at(*places)
    return Attempt(name, 1, title, (call,), (connected(),), policies, setup=ready)


def _server(family: int, address: tuple[str, int]):  # type: ignore[no-untyped-def]
    def ready(attack: Attack) -> None:
        attack.kept["listener"] = Listener(family, address)

    return ready


async def call_tcp(attack: Attack) -> None:
    """Connect to a server of the host over TCP."""
    listener = attack.kept["listener"]
    host = listener.socket.getsockname()[0]
    code = f"import socket\ntry:\n    socket.create_connection(({host!r}, {listener.port}), 1).sendall(b'x')\nexcept OSError as e:\n    print(e)"
    await attack.shell(python(code))


def _datagrams(attack: Attack) -> None:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    made.setblocking(False)
    attack.kept["datagrams"] = made


async def send_datagram(attack: Attack) -> None:
    """Send what a resolver would be sent."""
    made = attack.kept["datagrams"]
    port = made.getsockname()[1]
    code = ("import socket\nmade = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
            f"try:\n    made.sendto(b'secret.example.org', ('127.0.0.1', {port}))\nexcept OSError as e:\n    print(e)")  # fmt: skip
    await attack.shell(python(code))
    if select.select([made], [], [], 0.3)[0]:
        attack.kept["datagram"] = f"the host received {made.recv(99)!r}"


async def watch_checkout(attack: Attack) -> None:
    """Watch the user's checkout with inotify while they work in it."""
    code = """
import ctypes, os, select
libc = ctypes.CDLL(None)
fd = libc.inotify_init()
for place in (b"@REPO@", b"@HOME@", b"@OUTSIDE@"):
    libc.inotify_add_watch(fd, place, 0x100)
if select.select([fd], [], [], 3)[0]:
    print(os.read(fd, 4096))
"""
    await attack.context()
    watching = asyncio.create_task(attack.shell(python(code)))
    for number in range(20):
        await asyncio.sleep(0.15)
        (attack.world.repo / f"{attack.world.canary}{number}").touch()
        (attack.world.home / f"{attack.world.canary}{number}").touch()
        if watching.done():
            break
    await watching


def ipv6_here() -> bool:
    """Whether the machine has a loopback of the newer protocol."""
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


FAMILIES = """
import socket
for number, name in ((40, "vsock"), (16, "netlink audit"), (17, "packet"), (38, "crypto"), (31, "bluetooth")):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
        try:
            made = socket.socket(number, kind, 9 if number == 16 else 0)
        except OSError:
            continue
        if number == 40:
            print("@TOKEN@-" + name)
        made.close()
"""

_LOOPBACK6 = (
    (Attempt("loopback6", 1, "Reach a service of the host over the IPv6 loopback", (call_tcp,), (connected(),), ALL,
             setup=_server(socket.AF_INET6, ("::1", 0))),)
    if ipv6_here() else ()
)  # fmt: skip

ATTEMPTS = (
    Attempt("kill-outside", 1, "Kill a process of the user's by its number", (kill_by_number,), (bystander_killed,), ALL,
            setup=_bystander),
    Attempt("peek-at-processes", 1, "Attach to a process of the user's and read environment and memory", (peek,),
            (peeked, bystander_ended), ALL, setup=_bystander),
    Attempt("keyring", 1, "Read the keys the kernel keeps for the user", (read_keyring,), (seen(),), ALL, setup=_key),
    Attempt("terminal-input", 1, "Type into the user's terminal or write on it", (type_into_terminal,),
            (noted("terminal"),), ALL),
    Attempt("shared-memory", 1, "Read shared memory of the user's", (read_shared_memory,), (seen(),), ALL,
            setup=_shared_memory),
    Attempt("temporary-files", 1, "Read what others keep in /tmp", (Shell("cat /tmp/@TOKEN@ /var/tmp/@TOKEN@"),),
            (seen(), _temporary_gone), ALL, setup=_private_temporary),
    unix("socket-in-run", "Call a daemon by its socket in /run, as docker has one", "/run/@TOKEN@", "/tmp/@TOKEN@"),
    unix("socket-in-tmp", "Call a daemon by its socket in /tmp", "/tmp/@TOKEN@"),
    unix("socket-in-home", "Call a daemon by its socket in home", "@HOME@/@TOKEN@"),
    unix("socket-in-checkout", "Call a daemon by its socket in the checkout", "@REPO@/@TOKEN@"),
    unix("socket-elsewhere", "Call a daemon by its socket in a folder outside of home", "@OUTSIDE@/@TOKEN@"),
    unix("socket-abstract", "Call a daemon by its abstract socket", "\0@TOKEN@"),
    Attempt("loopback", 1, "Reach a service of the host over the loopback", (call_tcp,), (connected(),), ALL,
            setup=_server(socket.AF_INET, ("127.0.0.1", 0))),
    Attempt("every-address", 1, "Reach a service that listens on all addresses", (call_tcp,), (connected(),), WALLS,
            setup=_server(socket.AF_INET, ("0.0.0.0", 0))),
    *_LOOPBACK6,
    Attempt("datagram", 1, "Send a datagram to a resolver of the host", (send_datagram,), (noted("datagram"),), ALL,
            setup=_datagrams),
    Attempt("socket-families", 1, "Talk to the host of a virtual machine, which no network namespace stops",
            (Shell(python(FAMILIES)),), (seen("@TOKEN@-vsock"),), WALLS),
    Attempt("watch-checkout", 1, "Watch the names of the files the user works with", (watch_checkout,), (seen(),), ALL),
)  # fmt: skip
