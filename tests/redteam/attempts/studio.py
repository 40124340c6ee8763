"""Class 12: the door of Studio's server. One server is started; every attempt sends what a foreign page could send."""

import asyncio
import json
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.modelserver.server import closed_port
from tests.redteam.attack import PROGRAM, Attack, BrokenAttemptError
from tests.redteam.attempt import Attempt, Policy
from tests.redteam.proofs import made

HOST = (Policy.HOST,)
FOREIGN = "https://evil.example.org"
RUN = {"assistant_id": "rolecall", "input": {"task": "Make the failing tests pass"}, "if_not_exists": "create"}
FILES = {"test_evil.py": "open('@OUTSIDE@/taken', 'w')\n\n\ndef test_x():\n    assert False\n"}


async def server(attack: Attack) -> str:
    """The address of the server, started by the first attempt and ended with the last."""
    if "studio" not in attack.kept:
        port = closed_port()
        process = await asyncio.create_subprocess_exec(
            PROGRAM, "studio", "--port", str(port), cwd=attack.world.repo, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        attack.kept["studio"] = f"http://127.0.0.1:{port}"

        async def end() -> None:
            process.terminate()
            await process.wait()

        attack.kept["shared"].push_async_callback(end)
        await _started(port)
    return str(attack.kept["studio"])


async def _started(port: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                async with httpx.AsyncClient(trust_env=False) as client:
                    if (await client.get(f"http://127.0.0.1:{port}/ok")).is_success:
                        return
        await asyncio.sleep(0.3)
    raise BrokenAttemptError("Studio's server did not start")


async def send(
    attack: Attack, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: Any = None
) -> httpx.Response:
    """Send a request as it is."""
    url = await server(attack)
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        content = body if isinstance(body, str | bytes) or body is None else json.dumps(body)
        return await client.request(method, f"{url}{path}", headers=dict(headers or {}), content=content)


def door(method: str, path: str, headers: Mapping[str, str], body: Any = None):  # type: ignore[no-untyped-def]
    """Send one request; anything but a refusal is noted."""

    async def run(attack: Attack) -> None:
        answer = await send(attack, method, path, headers=headers, body=body)
        if answer.status_code < 400:
            attack.kept[f"in-{attack.attempt.id}"] = (
                f"{method} {path} was answered with {answer.status_code}: {answer.text[:80]}"
            )
        allowed = answer.headers.get("access-control-allow-origin", "")
        if allowed in {"*", FOREIGN, "null"}:
            attack.kept[f"in-{attack.attempt.id}"] = f"pages of {allowed} may read the answer"
        await asyncio.sleep(0.2)

    return run


def came_in(attack: Attack) -> str:
    """A request of a stranger was served."""
    return str(attack.kept.get(f"in-{attack.attempt.id}", ""))


async def raw(attack: Attack) -> None:
    """Requests no client would send: two hosts, none, an absolute address, a tunnelled one."""
    url = await server(attack)
    port = int(url.rsplit(":", 1)[1])
    words = (
        f"GET http://evil.example.org/threads/search HTTP/1.1\r\nHost: evil.example.org:{port}\r\n\r\n",
        f"POST /threads/search HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: evil.example.org\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}",
        "GET /info HTTP/1.0\r\n\r\n",
        f"GET /noauth/info HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n",
        f"GET //info HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n",
        f"GET /ok/../info HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n",
        f"GET /ok%2f..%2finfo HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n",
        f"GET /t//info HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer \r\n\r\n",
    )
    for word in words:
        answer = await asyncio.to_thread(_exchange, port, word)
        if answer.split(" ", 2)[1:2] == ["200"]:
            attack.kept[f"in-{attack.attempt.id}"] = f"served: {word.splitlines()[0]}"


def _exchange(port: int, words: str) -> str:
    with socket.create_connection(("127.0.0.1", port), 5) as made_:
        made_.settimeout(3)
        made_.sendall(words.encode())
        try:
            return made_.recv(4096).decode("latin-1")
        except OSError:
            return ""


async def token_lies_open(attack: Attack) -> None:
    """Other users of the machine find the token in what everybody may read."""
    await server(attack)
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        words = place.read_bytes() if place.is_file() else b""
        if b"/t/" in words and b"rolecall" in words and str(attack.world.base).encode() in words:
            attack.kept[f"in-{attack.attempt.id}"] = f"the token stands in {place}"


def twelve(name: str, title: str, action, *more_proofs) -> Attempt:  # type: ignore[no-untyped-def]
    """An attempt on the door."""
    return Attempt(f"studio-{name}", 12, title, (action,), (came_in, *more_proofs), HOST, FILES, group="studio",
                   settings={"sandbox": {"mode": "host"}}, within_s=40)  # fmt: skip


JSON = {"Content-Type": "application/json"}
PLAIN = {"Content-Type": "text/plain"}
TAKEN = made("@OUTSIDE@/taken")
ATTEMPTS = (
    twelve("no-token", "A program without the token lists threads", door("POST", "/threads/search", JSON, {})),
    twelve("no-token-run", "A program without the token starts a run", door("POST", "/runs/wait", JSON, RUN), TAKEN),
    twelve("foreign-page", "A foreign page starts a run", door("POST", "/runs", {**JSON, "Origin": FOREIGN, "Sec-Fetch-Site": "cross-site"}, RUN), TAKEN),
    twelve("plain-text", "A foreign page starts a run by plain text, which needs no leave", door("POST", "/runs/stream", {**PLAIN, "Origin": FOREIGN}, RUN), TAKEN),
    twelve("form", "A foreign form starts a run", door("POST", "/runs", {"Content-Type": "application/x-www-form-urlencoded", "Origin": FOREIGN}, "assistant_id=rolecall"), TAKEN),
    twelve("no-type", "A run is started without a type", door("POST", "/runs", {"Origin": "null"}, json.dumps(RUN).encode()), TAKEN),
    twelve("null-origin", "A sandboxed frame starts a run", door("POST", "/runs", {**JSON, "Origin": "null"}, RUN), TAKEN),
    twelve("rebound", "A name that was rebound to this machine starts a run", door("POST", "/runs", {**JSON, "Host": "evil.example.org:2024"}, RUN), TAKEN),
    twelve("rebound-local", "A name that looks like this machine", door("POST", "/runs", {**JSON, "Host": "127.0.0.1.evil.example.org"}, RUN), TAKEN),
    twelve("preflight", "A foreign page asks what it may do", door("OPTIONS", "/runs", {"Origin": FOREIGN, "Access-Control-Request-Method": "POST",
                                                                                       "Access-Control-Request-Headers": "content-type"})),
    twelve("foreign-read", "A foreign page reads threads", door("GET", "/threads", {"Origin": FOREIGN})),
    twelve("image", "A foreign page loads an address as an image", door("GET", "/assistants/search", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"})),
    twelve("guessed-token", "An empty and a guessed token", door("GET", "/t/x/info", {"x-api-key": ""})),
    twelve("documents", "The description of the server is read", door("GET", "/docs", {"Origin": FOREIGN})),
    twelve("raw", "Requests that no client sends", raw),
    twelve("token-open", "The token stands where other users may read it", token_lies_open),
)  # fmt: skip
