import socket
import time

import pytest
from wire.server import Client, Server


def wait_for(port):
    """Return once somebody listens."""
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)


@pytest.fixture
def server():
    made = Server()
    wait_for(made.port)
    yield made
    made.close()


@pytest.fixture
def client(server):
    with Client(server.port) as made:
        yield made
