from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Breakers and places of these tests are nobody else's."""
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("ROLECALL_STATE_DIR", str(folder))
    return folder
