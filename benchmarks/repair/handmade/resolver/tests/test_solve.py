import pytest
from resolver.index import Index
from resolver.solve import Conflict, install_order, orphans, outdated, solve, why
from resolver.version import Requirement


def versions(chosen):
    return {name: str(release.version) for name, release in chosen.items()}


def test_newest_is_taken(index):
    assert versions(solve(index, ["log"])) == {"log": "2.0"}


def test_goes_back_to_an_older_one(index):
    assert versions(solve(index, ["app"])) == {"app": "1.0", "web": "3.0", "http": "2.0", "log": "2.0", "json": "0.9"}


def test_bounds_of_others_count(index):
    assert versions(solve(index, ["app", "log<2"])) == {"app": "1.0", "web": "2.5", "http": "1.2", "log": "1.5"}


def test_pre_release_on_demand(index):
    assert versions(solve(index, ["web>=3.0rc1,<3.0"])) == {"web": "3.0rc1", "http": "2.0", "log": "2.0"}


@pytest.mark.parametrize(
    ("roots", "name"),
    [(["log>2"], "log"), (["nothing"], "nothing"), (["log<2", "http>=2"], "log"), (["json", "json<0.5"], "json")],
)
def test_conflicts(index, roots, name):
    with pytest.raises(Conflict) as caught:
        solve(index, roots)
    assert caught.value.wanted.name == name


def test_conflict_says_why(index):
    with pytest.raises(Conflict, match="no such package"):
        solve(index, ["nothing"])
    with pytest.raises(Conflict, match="nothing fits"):
        solve(index, ["log>2"])
    with pytest.raises(Conflict, match="log 1.0 is chosen"):
        solve(index, ["log<2", "http>=2"])


def test_install_order(index):
    assert install_order(solve(index, ["app"])) == ["log", "http", "json", "web", "app"]
    assert install_order(solve(index, ["json", "log"])) == ["json", "log"]


def test_cycles(index):
    chosen = solve(index, ["a"])
    assert versions(chosen) == {"a": "1", "b": "1", "json": "0.9"}
    assert install_order(chosen) == ["json", "b", "a"]


def test_why(index):
    chosen = solve(index, ["app"])
    assert why(chosen, "log") == ["app", "http"]
    assert why(chosen, "app") == []


def test_outdated(index):
    chosen = solve(index, ["app", "log<2"])
    assert outdated(index, chosen) == [
        ("app", "1.0", "1.1"),
        ("http", "1.2", "2.0"),
        ("log", "1.5", "2.0"),
        ("web", "2.5", "3.0"),
    ]
    assert outdated(Index(), chosen) == []
    assert outdated(index, solve(index, ["json"])) == []


def test_orphans(index):
    chosen = solve(index, ["app", "a"])
    assert orphans(chosen, ["app", "a"]) == set()
    assert orphans(chosen, ["app"]) == {"a", "b"}
    assert orphans(chosen, ["A>=1"]) == {"app", "web", "http", "log"}


def test_yanked():
    index = Index()
    index.add("x", "1.0")
    index.add("x", "1.1", yanked=True)
    assert [str(found) for found in index.candidates(Requirement.parse("x"))] == ["x 1.0"]
    assert [str(found) for found in index.candidates(Requirement.parse("x==1.1"))] == ["x 1.1"]
    assert index.candidates(Requirement.parse("x==1.1,>1.1")) == []
    assert str(index.latest("X")) == "x 1.0"


def test_latest(index):
    assert str(index.latest("web")) == "web 3.0"
    assert index.latest("nothing") is None
    assert "WEB" in index


def test_a_release_can_be_replaced(index):
    index.add("json", "0.9.0", ["log"])
    assert list(solve(index, ["json"])) == ["json", "log"]
