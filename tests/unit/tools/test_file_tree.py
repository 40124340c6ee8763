from hypothesis import given
from hypothesis import strategies as st

from tools.files.file_tree import format_tree
from tools.target.python_shims import write_launchers

NAMES = st.lists(st.sampled_from(["a", "b", "src", "x.py"]), min_size=1, max_size=4).map("/".join)


def files_in(line: str) -> int:
    return int(line.rpartition("(")[2].split()[0]) if line.endswith("files)") else 1


@given(st.sets(NAMES, max_size=40), st.integers(1, 30))
def test_every_file_is_listed_or_counted_once(paths: set[str], limit: int) -> None:
    # A name cannot be a file and a folder at once.
    files = sorted(path for path in paths if not any(other.startswith(f"{path}/") for other in paths))
    lines = format_tree(files, limit).splitlines()
    assert len(lines) <= limit + 1
    if not any(line.startswith("…") for line in lines):
        assert sum(map(files_in, lines)) == len(files)
    if len(files) <= limit:
        assert sorted(lines) == files


def test_the_names_of_python_mean_one_interpreter() -> None:
    folder = write_launchers("/opt/my python/bin/python3", pytest=True)
    assert sorted(path.name for path in folder.iterdir()) == ["pytest", "python", "python3"]
    assert "'/opt/my python/bin/python3' -m pytest \"$@\"" in (folder / "pytest").read_text()
    assert write_launchers("/opt/my python/bin/python3", pytest=True) == folder
    other = write_launchers("/opt/my python/bin/python3", pytest=False)
    assert sorted(path.name for path in other.iterdir()) == ["python", "python3"]
