"""Stands before a server and keeps every byte that its callers send; the bytes go through unchanged."""

import re
import socket
import threading
from contextlib import suppress
from typing import Self

_OWN_HEADERS = re.compile(rb"(?im)^(authorization|x-gate|x-otlp): [^\r\n]*\r?$")


class Tap:
    """A port in front of another one; use it as a context manager.

    Args:
        target: Port on the loopback; 0 answers nobody and only keeps what came.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._chunks: dict[int, list[bytes]] = {}
        self._open: list[socket.socket] = []

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    @property
    def received(self) -> bytes:
        """Everything that came, connection by connection."""
        return b"\n".join(b"".join(chunks) for chunks in list(self._chunks.values()))

    def without_own_headers(self) -> bytes:
        """The same but for the headers that carry the server's own credentials."""
        return _OWN_HEADERS.sub(b"", self.received)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in [self._listener, *self._open]:
            with suppress(OSError):
                each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                self._open.append(caller)
                kept = self._chunks.setdefault(len(self._chunks), [])
                try:
                    server = socket.create_connection(("127.0.0.1", self._target)) if self._target else None
                except OSError:
                    server = None
                threading.Thread(target=_pump, args=(caller, server, kept), daemon=True).start()
                if server is not None:
                    self._open.append(server)
                    threading.Thread(target=_pump, args=(server, caller, None), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket | None, kept: list[bytes] | None) -> None:
    with suppress(OSError):
        while block := source.recv(65536):
            if kept is not None:
                kept.append(block)
            if sink is None:
                break
            sink.sendall(block)
    for each in (source, sink):
        with suppress(OSError):
            if each is not None:
                each.shutdown(socket.SHUT_RDWR)
