"""Fixtures of the doctor's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_registry.diagnosis import doctor
from tests.modelserver.server import ModelServer
from tests.unit.llm_registry.doctor.rig import able


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No server of this machine is looked for, and no state outside the test is touched."""
    monkeypatch.setattr(doctor, "USUAL_PLACES", ())
    monkeypatch.setenv("ROLECALL_STATE_DIR", str(tmp_path / "state"))


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(able, models=("scripted", "other"), strict_models=True) as running:
        yield running
