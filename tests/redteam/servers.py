"""Small HTTP servers of the attacker: they answer, repeat what they were sent, or send callers elsewhere."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote


class Answering:
    """Keeps every request; answers with a status, and repeats the credentials if asked to.

    Args:
        status: Of every answer.
        location: Where callers are sent, with the path added.
        echo: Whether the answer repeats the credentials in several encodings.
        body: What is said otherwise.
    """

    def __init__(self, *, status: int = 200, location: str = "", echo: bool = False, body: str = "{}") -> None:
        self.requests: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                size = int(self.headers.get("content-length") or 0)
                sent = self.rfile.read(size).decode("utf-8", "replace")
                outer.requests.append({"path": self.path, "headers": dict(self.headers), "body": sent})
                words = outer.text(dict(self.headers)) if echo else body
                self.send_response(status)
                if location:
                    self.send_header("Location", f"{location}{self.path}")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(words.encode())))
                self.end_headers()
                self.wfile.write(words.encode())

            do_GET = do_POST = do_PUT = do_HEAD = do_OPTIONS = _answer  # noqa: N815 - names of the base class

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in the base class
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        # A caller that has heard enough hangs up.
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_port

    @property
    def url(self) -> str:
        """The address without a path."""
        return f"http://127.0.0.1:{self.port}"

    @staticmethod
    def text(headers: dict[str, str]) -> str:
        """The credentials in several encodings, as a careless server writes them into its error."""
        key = next((value for name, value in headers.items() if name.lower() == "authorization"), "none")
        word = key.removeprefix("Bearer ")
        told = (word, quote(word, safe=""), base64.b64encode(word.encode()).decode(), word.encode().hex(),
                json.dumps(word), word.upper(), f"{word[:8]}…{word[-8:]}")  # fmt: skip
        return json.dumps({"error": {"message": f"Incorrect API key provided: {' '.join(told)}", "type": "auth"}})
