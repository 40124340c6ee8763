import pytest


@pytest.fixture
def defaults():
    return {"debug": False, "name": "demo", "server": {"port": 8080, "hosts": ["a"]}}
