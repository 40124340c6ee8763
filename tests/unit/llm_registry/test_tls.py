"""Servers at home behind TLS, with certificates of their owner's making."""

import asyncio
import gc
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from core.config.settings import ModelSpec, Timeouts
from llm_registry.discovery.probe import DEADLINE_S
from llm_registry.discovery.server_info import EndpointFacts
from tests.modelserver.info import Shape
from tests.modelserver.reply import say
from tests.modelserver.server import ModelServer
from tests.probing import probe_endpoint
from tests.unit.llm_registry.raw import raw_server
from tests.unit.llm_registry.rig import HELLO, SITE, registry


@pytest.fixture
def tls(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of its own making, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    made = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    out = ["-days", "2", "-out", str(made[0]), "-keyout", str(made[1])]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, *out]
    subprocess.run(command, check=True, capture_output=True)
    return made


@asynccontextmanager
async def slowly(url: str, seconds: float) -> AsyncIterator[str]:
    """A line on which each connection stays no data for some time, as to the other end of the world."""
    port = int(url.rpartition(":")[2])

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    async with raw_server(handle) as slow:
        yield url.replace(str(port), urlsplit(slow).netloc.rpartition(":")[2])


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, ssl.SSLError):
        while block := await reader.read(65536):
            writer.write(block)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def tls_before(server: ModelServer, certificate: tuple[Path, Path]) -> AsyncIterator[str]:
    """TLS in front of a server, as a reverse proxy at home has it; yields the address without a path."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    running: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
        running.update(asyncio.ensure_future(one) for one in (pump(reader, inner_writer), pump(inner_reader, writer)))

    outside = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    try:
        yield f"https://127.0.0.1:{outside.sockets[0].getsockname()[1]}"
    finally:
        outside.close()
        await asyncio.wait_for(asyncio.gather(*running), 5)


async def look(url: str, *, connect_s: float = 3.0, deadline_s: float = DEADLINE_S) -> EndpointFacts:
    timeouts = Timeouts(connect=connect_s)
    spec = ModelSpec(provider="openai_compatible", model="scripted", base_url=url, timeouts=timeouts)
    return await probe_endpoint(spec, deadline_s=deadline_s)


async def test_a_certificate_nobody_trusts_is_told_from_absence(tls: tuple[Path, Path]) -> None:
    with ModelServer(say("hi")) as server:
        async with tls_before(server, tls) as url:
            untrusted = await look(f"{url}/v1")
            plain = await look(f"{url}/v1".replace("https:", "http:"))
    assert untrusted.error == "its certificate is not trusted: self-signed certificate"
    assert not plain.connected


def test_a_handshake_that_nobody_answers_leaves_no_connection_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        facts = asyncio.run(look(f"https://127.0.0.1:{silent.getsockname()[1]}/v1", connect_s=0.3))
    assert "no connection in 0.3 s" in facts.error
    # The loop that held an open one is gone; it would warn now, and a warning is an error here.
    gc.collect()


async def test_tls_spoken_to_a_server_without_it_is_named() -> None:
    with ModelServer(say("hi")) as server:
        facts = await look(server.v1.replace("http:", "https:"))
    assert "not with TLS" in facts.error


@pytest.mark.parametrize(
    ("shape", "provider", "path"),
    [(Shape.OPENAI, "openai_compatible", "/v1"), (Shape.OLLAMA, "ollama", "")],
    ids=["openai", "ollama"],
)
async def test_an_authority_of_the_environment_is_trusted_by_looks_and_calls(
    tls: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: Shape, provider: str, path: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tls[0]))
    with ModelServer(say("hi"), shape=shape) as server:
        async with tls_before(server, tls) as url:
            spec = {"provider": provider, "model": "scripted", "base_url": f"{url}{path}"}
            async with registry({"primary": spec}, tmp_path) as models:
                served = await models.assign()
                reply = await models.chat("primary", HELLO, site=SITE)
    assert served["primary"].reason == "first choice"
    assert reply.text == "hi"


async def test_a_healthy_server_whose_handshake_takes_long_is_no_dead_one(
    tls: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tls[0]))
    with ModelServer(say("hi"), context=6144) as server:
        async with tls_before(server, tls) as url, slowly(url, 1.1) as slow:
            spec = {"provider": "openai_compatible", "model": "scripted", "base_url": f"{slow}/v1"}
            async with registry({"primary": spec}, tmp_path) as models:
                served = await models.assign()
                window = models.window("primary")
    assert (served["primary"].spec, served["primary"].reason) == ("primary:scripted", "first choice")
    # The questions after the first have new connections, which take as long.
    assert window == 6144
