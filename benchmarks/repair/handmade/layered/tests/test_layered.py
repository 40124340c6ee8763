import pytest
from layered.convert import boolean, like, listing, seconds, size
from layered.settings import flatten

from layered import Settings, merge


def test_merge_goes_deep():
    assert merge({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}) == {"a": {"b": 3, "c": 2}}


def test_merge_leaves_its_arguments_alone():
    base = {"a": {"b": 1}, "x": 1}
    merge(base, {"a": {"b": 2}, "x": 2})
    assert base == {"a": {"b": 1}, "x": 1}


def test_merge_replaces_what_is_no_table():
    assert merge({"a": [1]}, {"a": {"b": 2}}) == {"a": {"b": 2}}


@pytest.mark.parametrize(("text", "value"), [(" Yes", True), ("off", False), ("", False)])
def test_boolean(text, value):
    assert boolean(text) is value


def test_boolean_refuses_the_rest():
    with pytest.raises(ValueError):
        boolean("maybe")


@pytest.mark.parametrize(("text", "value"), [("512", 512), ("4k", 4096), ("1.5M", 1572864)])
def test_size(text, value):
    assert size(text) == size(text + "B") == value


@pytest.mark.parametrize(("text", "value"), [("90", 90), ("1h30m", 5400), ("2d5", 172805)])
def test_seconds(text, value):
    assert seconds(text) == value


def test_listing_drops_blanks():
    assert listing(" a, b,,") == ["a", "b"]
    assert listing("a;b", ";") == ["a", "b"]


def test_like_keeps_the_type():
    assert like(True, "no") is False
    assert like(1, "7") == 7
    assert like(0.5, "7") == 7.0
    assert like(["x"], "a,b") == ["a", "b"]
    assert like("x", "7") == "7"


def test_defaults_are_never_written(defaults):
    settings = Settings(defaults)
    settings.set("server.port", 1)
    settings.get("server.hosts").append("b")
    assert defaults["server"] == {"port": 8080, "hosts": ["a"]}


def test_get_missing_path(defaults):
    settings = Settings(defaults)
    assert settings.get("server.tls") is None
    assert settings.get("name.first", "none") == "none"


def test_environment(defaults):
    settings = Settings(defaults).load_environment(
        {"APP_SERVER__PORT": "80", "APP_DEBUG": "yes", "OTHER_NAME": "x", "APP_UNKNOWN": "1"}
    )
    assert settings.get("server.port") == 80
    assert settings.get("debug") is True
    assert settings.get("name") == "demo"
    assert settings.get("unknown") is None


def test_set_makes_tables(defaults):
    settings = Settings(defaults)
    settings.set("log.file.path", "x")
    assert settings.get("log.file") == {"path": "x"}


def test_changed(defaults):
    settings = Settings(defaults).load({"server": {"port": 1}, "debug": False})
    assert settings.changed() == ["server.port"]


def test_flatten():
    assert list(flatten({"a": {"b": {"c": 1}}, "d": 2})) == [("a.b.c", 1), ("d", 2)]
