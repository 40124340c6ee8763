"""A server that answers lines."""

import socket
import threading

COMMANDS = {"upper": str.upper, "lower": str.lower, "turn": lambda text: text[::-1]}


def answer(line: str) -> str:
    """Return what the server says to a line: `command text`."""
    command, _, text = line.strip().partition(" ")
    if command not in COMMANDS:
        return f"error unknown {command}"
    return f"ok {COMMANDS[command](text)}"


class Server:
    """Serves one client after the other until closed."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        running = True
        while running:
            client, _ = self.socket.accept()
            with client, client.makefile("rw", newline="\n") as stream:
                for line in stream:
                    if line.strip() == "quit":
                        running = False
                        break
                    stream.write(answer(line) + "\n")
                    stream.flush()

    def close(self) -> None:
        with Client(self.port) as client:
            client.send("quit")
        self.thread.join()
        self.socket.close()


class Client:
    """Talks to a server."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.stream = self.socket.makefile("rw", newline="\n")

    def send(self, line: str) -> None:
        self.stream.write(line + "\n")
        self.stream.flush()

    def ask(self, line: str) -> str:
        self.send(line)
        return self.stream.readline().rstrip("\n")

    def close(self) -> None:
        self.stream.close()
        self.socket.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
