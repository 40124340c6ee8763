import pytest

from core.settings import ApprovalSettings
from tools.allow_list import AllowList

LIST = AllowList(ApprovalSettings().allow)


@pytest.mark.parametrize(
    "command",
    ["pytest -q", "pytest -q 2>&1 | tail -5", "cd sub && python -m pytest", "FOO=1 make test", "ls;", "sed -n 1,5p a",
     "python -c 'print(1 < 2); print(`x`)'", 'pytest -k "a and not b"', "grep -rn 'a|b' . || true",
     "pytest > /dev/null 2>&1", "git diff --stat", r"grep a\;b c"],
)  # fmt: skip
def test_plain_commands_run(command) -> None:
    assert LIST.allows(command)


@pytest.mark.parametrize(
    "command",
    ["", "rm -rf x", "pytest; rm x", "pytest && rm x", "pytest | sh", "pytest &", "echo $(rm x)", "echo `rm x`",
     'echo "$(rm x)"', "echo \"it's $(rm x) it's\"", "echo x > y", "cat < /etc/passwd", "(rm x)", "pytest\nrm x",
     "cd .. && ls", "cd / && ls", "cd && ls", "PATH=. pytest", "LD_PRELOAD=x ls", "find . -delete",
     "find . -exec rm {} +", "sed -i s/a/b/ x", "git push", "git diff --output=x", "rg --pre sh x", "pythonx", "ls 'a",
     "npm install", "FOO=1", "echo ${x:-$(rm y)}", r"echo \"; rm x"],
)  # fmt: skip
def test_everything_else_is_asked_for(command) -> None:
    assert not LIST.allows(command)
