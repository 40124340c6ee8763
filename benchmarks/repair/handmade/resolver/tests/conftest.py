import pytest
from resolver.index import load


@pytest.fixture
def index():
    return load(
        {
            "app": {"1.0": ["web>=2", "log"], "1.1": ["web>=3", "log<2"]},
            "web": {"2.0": ["http ~= 1.1"], "2.5": ["http>=1.2"], "3.0rc1": ["http>=2"], "3.0": ["http>=2", "Json"]},
            "http": {"1.1": [], "1.2": ["log>=1"], "2.0": ["log>=2"]},
            "log": {"1.0": [], "1.5": [], "2.0": []},
            "json": {"0.9": []},
            "a": {"1": ["b"]},
            "b": {"1": ["a", "json"]},
        }
    )
