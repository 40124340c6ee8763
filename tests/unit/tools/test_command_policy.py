"""What runs without asking, as tables; and that the shell itself reads an allowed line as the allow-list does."""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.config.settings import ApprovalSettings
from core.secret_files import SecretFiles
from tools.commands.command_policy import CommandPolicy
from tools.commands.shell_grammar import UnsupportedShellError, read_commands

EVERYDAY = [
    "pytest -q", "pytest -q 2>&1 | tail -5", "cd sub && python -m pytest", "CI=1 make test", "ls;", "sed -n 1,5p a.py",
    "sed -n '1,40p' src/a.py", "sed -n '/def f/,/return/p' src/a.py", "sed -n -e 1p -e '$p' a.py",
    'pytest -k "a and not b"', "grep -rn 'a|b' . || true", "pytest > /dev/null 2>&1", "git diff --stat",
    r"grep a\;b a.py", "python a.py --verbose", "python3 -m unittest discover -s tests", "python -W error -m pytest -x",
    "python -m pkg.cli run", "make -j4 test", "make lint VERBOSE=1", "npm test", "npm run build -- --watch=false",
    "node --test", "node tool.js x", "cargo test --workspace", "go test ./...", "go vet ./...", "ruff check .",
    "mypy src", "git status --short", "git log --oneline -5", "git log -n 3 --format='%h %s' -- src/a.py",
    "git show HEAD~1:src/a.py", "git diff HEAD~2..HEAD -- src", "git --no-pager diff", "ls -la src", "cat src/a.py",
    "cat src/*.py", "head -20 a.py", "tail -n +5 a.py", "wc -l src/*.py", "grep -n 'def ' src/a.py | head",
    'grep -rnE "x$|y" src', "rg -n --glob '*.py' 'foo\\(' src", "rg --files src",
    "find . -name '*.py' -not -path './x/*'",
    r"find src \( -name '*.py' -o -name '*.txt' \) -type f", "find . -maxdepth 2 -type d | sort | uniq -c",
    "diff -u a.py src/a.py", "echo done; pwd", "echo '--- a # b'", "test -f a.py && echo yes", "test ! -d out",
    "! grep -q TODO a.py", "timeout 60 pytest -q", "ls\nwc -l a.py", "printf '%s\\n' x | tr a-z A-Z",
    "cut -d: -f1 a.py",
    "stat -c %s a.py", "grep -n '/api/v1' src/a.py", "sort -k2,2n a.py", "git blame -L 1,5 src/a.py", "which python",
    "sed -n 's/a/b/p' a.py", "tox -e py311", "nox -s tests", "PYTHONHASHSEED=0 pytest tests", "python --version",
]  # fmt: skip

ASKED = [
    "", "  ", "rm -rf x", "pytest; rm x", "pytest && rm x", "pytest | sh", "pytest &", "echo $(rm x)", "echo `rm x`",
    'echo "$(rm x)"', "echo \"it's $(rm x) it's\"", "echo x > y", "cat < /etc/passwd", "(rm x)", "pytest\nrm x",
    "cd .. && ls", "cd / && ls", "cd && ls", "cd -", "PATH=. pytest", "LD_PRELOAD=x ls", "find . -delete",
    "find . -exec rm {} +", "sed -i s/a/b/ x", "git push", "git diff --output=x", "rg --pre sh x", "pythonx", "ls 'a",
    "npm install", "FOO=1", "echo ${x:-$(rm y)}", r"echo \"; rm x",
    # Hidden by comments and quotes.
    "ls # ' \nrm x # '", "echo $'\\'; rm x; \\''", "echo $\"x\" ; rm x", "ls \\\n; rm x", "cat <<E\nx\nE\nrm x",
    "diff <(rm x) a.py", "cat <<< x", "echo {a,b}", "echo $((1+1))", "f() { rm x; }; f", "if true; then rm x; fi",
    "for i in 1; do rm x; done", "{ rm x; }", "[ -f a ] && rm x", "[[ -v 'a[$(rm x)]' ]]", "ls |& cat", "ls & rm x",
    "a=b", "export PATH=.", "ls\r\nrm x", "ls\x00rm", "ls \u2028rm", "echo \ud800", "ls\u00a0x", "x" * 20_000,
    # Programs that write, or run what they are told.
    "sed -n '1e id' a.py", "sed -n 'w out' a.py", "sed -n 's/a/b/e' a.py", "sed -n 's/a/b/w out' a.py",
    "sed -n -i.bak p a.py", "sed -ni p a.py", "sed -n -f script a.py", "sed -n --in-place p a.py",
    "sed -n '1p;1e id' a.py",
    "sed -n '/[/p;1e id;/]/p' a.py", "sed -n '1r /etc/passwd' a.py", "sed -n", "find . -fprint0 x", "find . -fls x",
    "find . -ok rm {} ;", "find . -execdir rm {} ;", "find -files0-from x", "find / -name x", "find . -newer /etc/x",
    "rg --pre=./x a", "rg --hostname-bin=./x a", "rg -z a", "rg --search-zip a", "git -c core.pager=./x log",
    "git -C / log", "git --exec-path=. log", "git diff --ext-diff", "git log --textconv -p", "git show --output x",
    "git log --out=x", "git log --format=%G?", "git diff --no-index a /etc/passwd", "git log --show-signature",
    "git grep -O./x y", "sort -o x a.py", "sort --compress-program=./x a.py", "uniq a.py b.py", "tee x", "xargs rm",
    "ls | xargs rm", "env ls", "env -S 'rm x'", "bash -c ls", "sh a.sh", "sudo ls", "awk 'BEGIN{system(\"id\")}'",
    "test -v 'a[$(rm x)]'", "printf -v PATH x", "diff -l a b", "command ls", "nohup ls", "eval ls", "source a", ". a",
    "date -s x", "timeout 5 rm x", "timeout -s KILL 5 ls",
    # Code in the command itself.
    "python -c 'print(1)'", "python -", "python", "echo x | python", "python -i a.py", "python -Bc x",
    "python -m timeit x",
    "python -m pip install x", "python -m code", "node -e 1", "node --eval=1", "node -p 1", "node", "node -r ./x y.js",
    "make --eval='x:;id'", "make --ev='x:;id'", "make -E x", "make -f- ", "make SHELL=./x", "make CC=./x", "make -f /x",
    "npm test --script-shell=./x", "npm test --script-sh ./x", "npm exec x", "npm publish", "go test -exec ./x ./...",
    "go env -w X=1", "go generate", "go test -toolexec=./x", "cargo --config x test", "cargo test --config=x",
    "cargo install x", "cargo +x test", "tox exec -- rm x", "tox --override=x", "mypy --python-exec=./x a",
    "mypy --install-types a", "pytest --pastebin=all", "python -m pytest --paste=all",
    # What is loaded before the program.
    "PYTHONPATH=. pytest", "PYTHONSTARTUP=x python a.py", "NODE_OPTIONS=-r./x npm test", "GIT_EXTERNAL_DIFF=x git diff",
    "MAKEFLAGS=--eval=x make", "PYTEST_ADDOPTS=-px pytest", "RUSTC_WRAPPER=./x cargo test", "BASH_ENV=x ls", "IFS=x ls",
    "CI=$(rm x) make", "CI=`rm x` make", "PAGER=./x git log", "GOFLAGS=-toolexec=x go test",
    # Beyond the worktree.
    "cat /etc/passwd", "cat ~/.ssh/id_rsa", "cat ../x", "cat src/../../x", "head -c5 /etc/passwd", "ls /", "ls ~root",
    "grep -r x /etc", "grep x -f /etc/passwd", "grep -f/etc/passwd x", "grep --file=/etc/passwd x", "rg --files /etc",
    "rg -e x /etc", "wc --files0-from=/etc/x", "diff a.py /etc/passwd", "test -f /etc/passwd", "git diff /etc/a /etc/b",
    "git show HEAD:../x", "python /tmp/x.py", "pytest ../x", "pytest --rootdir=/x", "make -C ..", "make -C/ test",
    "cat link", "cat folder/passwd", "cd folder && cat passwd", "cat folder/*", "cat lin*", "cat .git/config",
    # Names of files that are flags.
    "rg x *", "find . *", "git diff *",
]  # fmt: skip

READING = [
    "ls -la src", "cat src/a.py", "grep -n 'def ' src/a.py | head -3", "git status", "git diff --stat", "echo x",
    "find . -name '*.py'", "sed -n 1,5p a.py", "test -f a.py && wc -l a.py", "rg -n foo src",
]  # fmt: skip
BUILDING = [
    "pytest -q", "python a.py", "python -m pytest", "make test", "npm test", "node tool.js", "cargo test",
    "go test ./...",
    "tox", "nox", "ruff check .", "mypy src", "ls && pytest",
]  # fmt: skip
HIDDEN_ON_THE_HOST = [
    "cat .env", "head -1 sub/.env", "grep -r KEY .", "rg KEY", "rg --hidden KEY", "rg -u x src", "grep -R x src",
    "diff -r src sub", "git show HEAD:.env", "cat sub/.e*", "ls src -L",
]  # fmt: skip


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("worktree")
    for name in (
        "a.py",
        "src/a.py",
        "sub/.env",
        ".env",
        "pkg/cli.py",
        "tests/test_a.py",
        "tool.js",
        "-files",
        "--pre=x",
    ):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("x\n")
    (root / ".git").mkdir()
    (root / ".git" / "config").touch()
    (root / "link").symlink_to("/etc/passwd")
    (root / "folder").symlink_to("/etc")
    return root


def listing(root: Path, *, walls: bool = True, **more: object) -> CommandPolicy:
    return CommandPolicy(
        ApprovalSettings.model_validate(more), root, walls=walls, hidden=SecretFiles(), path=os.environ["PATH"]
    )


@pytest.mark.parametrize("command", EVERYDAY)
def test_everyday_commands_run_within_walls(tree: Path, command: str) -> None:
    assert listing(tree).allows(command)


@pytest.mark.parametrize("walls", [True, False])
@pytest.mark.parametrize("command", ASKED)
def test_everything_else_is_asked_for(tree: Path, command: str, walls: bool) -> None:
    assert not listing(tree, walls=walls, mode="anywhere").allows(command)


@pytest.mark.parametrize("command", READING)
def test_reading_is_not_asked_for_on_the_host(tree: Path, command: str) -> None:
    assert listing(tree, walls=False).allows(command)
    assert listing(tree, walls=False, mode="ask").allows(command)


@pytest.mark.parametrize("command", BUILDING)
def test_code_of_the_repository_runs_unasked_where_the_mode_says_so(tree: Path, command: str) -> None:
    unasked = {
        (mode, walls): listing(tree, walls=walls, mode=mode).allows(command)
        for mode in ("ask", "walls", "anywhere") for walls in (True, False)
    }  # fmt: skip
    assert [key for key, value in unasked.items() if value] == [
        ("walls", True), ("anywhere", True), ("anywhere", False),
    ]  # fmt: skip


@pytest.mark.parametrize("command", HIDDEN_ON_THE_HOST)
def test_what_walls_would_hide_is_asked_for_on_the_host(tree: Path, command: str) -> None:
    assert not listing(tree, walls=False).allows(command)


def test_programs_the_user_names_run_within_walls_but_never_those_that_run_what_they_are_told(tree: Path) -> None:
    mine = {"allow": ("terraform plan", "bash", "env", "xargs", "git push")}
    assert listing(tree, **mine).allows("terraform plan -no-color")
    assert not listing(tree, walls=False, **mine).allows("terraform plan")
    assert not listing(tree, **mine).allows("terraform plan -out=/etc/x")
    assert not any(listing(tree, **mine).allows(each) for each in ("bash -c id", "env id", "xargs id", "git push"))
    assert not listing(tree, allow=()).allows("ls")


def test_a_program_of_the_repository_with_the_name_of_a_reader_is_asked_for_on_the_host(tree: Path) -> None:
    (tree / "bin").mkdir(exist_ok=True)
    (tree / "bin" / "ls").write_text("#!/bin/sh\n")
    (tree / "bin" / "ls").chmod(0o755)
    path = f"{tree / 'bin'}{os.pathsep}{os.environ['PATH']}"
    assert not CommandPolicy(ApprovalSettings(), tree, walls=False, hidden=SecretFiles(), path=path).allows("ls")
    assert CommandPolicy(ApprovalSettings(), tree, walls=True, hidden=SecretFiles(), path=path).allows("ls")


def test_absolute_paths_of_the_worktree_are_inside(tree: Path) -> None:
    assert listing(tree).allows(f"cd {tree}/src && cat {tree}/a.py")
    assert not listing(tree).allows(f"cat {tree}x/a.py")


_STUB = r"""#!/bin/sh
{ [ $# = 0 ] || printf '%s\037' "$@"; printf '\036'; } >> "$HEARD"
"""
_PIECES = st.sampled_from([
    "one", "two", " ", " ", "\t", "\n", "'", '"', "\\", "$", "#", "`", "(", ")", "{", "}", "<", ">", "&", "|", ";", "!",
    "~", "*", "?", "[", "]", "=", "a", "b/c", "-x", "$'", '$"', "'a b'", '"c d"', "\\'", '\\"', "&&", "||", " | ",
    "2>&1", ">/dev/null", "\r", "\x0b", "é", "\u00a0", ",", "%", "@", "^", "+", "1", "A=b", "\\\n", "-", "--", "in",
])  # fmt: skip


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stubs")
    for name in ("one", "two"):
        (folder / name).write_text(_STUB)
        (folder / name).chmod(0o755)
    return folder


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(line=st.lists(_PIECES, min_size=1, max_size=9).map("".join).map("one ".__add__))
def test_the_shell_runs_what_was_read_and_nothing_else(stubs: Path, line: str) -> None:
    try:
        read = read_commands(line)
    except UnsupportedShellError:
        return
    heard = stubs / "heard"
    heard.unlink(missing_ok=True)
    empty = stubs / "empty"
    empty.mkdir(exist_ok=True)
    subprocess.run(
        ["/bin/bash", "-c", line], cwd=empty, env={"PATH": str(stubs), "HEARD": str(heard)}, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=20, check=False,
    )  # fmt: skip
    told = heard.read_text().split("\x1e")[:-1] if heard.exists() else []
    ran = [each.split("\x1f")[:-1] for each in told]
    expected = [[word.text for word in each.words[1:]] for each in read if each.words[0].text in {"one", "two"}]
    # Parts behind && and || may not run, and those of a pipeline run at once.
    assert all(each in expected for each in ran), (line, expected, ran)
    assert not list(empty.iterdir())
