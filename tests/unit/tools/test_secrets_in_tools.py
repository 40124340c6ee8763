"""No tool shows a secret to a model, and none is lost when a model writes a file back."""

import asyncio
from pathlib import Path

import pytest

from core.context import Context
from tests.repositories import write
from tests.unit.tools.calling import call, context_of, error, text
from tools.agent import search_tool

TOKEN = "ghp_" + "a1B2" * 9
KNOWN = "the-key-of-the-gateway"
BODY = "\n".join("MIIEvQIBADANBgkqhkiG9w0BAQEFAASC" + str(n) for n in range(20))
KEY = f"-----BEGIN RSA {'PRIVATE'} KEY-----\n{BODY}\n-----END RSA {'PRIVATE'} KEY-----"
CONFIG = f'TOKEN = "{TOKEN}"\nLIMIT = 3\nNAME = "{KNOWN}"\n'
WITH_KEY = f'BEFORE = 1\nKEY = """{KEY}"""\nAFTER = 2\n'
FILES = {
    "config.py": CONFIG, "with_key.py": WITH_KEY, ".env": f"A={TOKEN}\n", "deploy/master.key": "k\n",
    "deploy/.npmrc": "x\n", ".env.example": "A=fill me in\n", "plain.py": "x = 1\n",
}  # fmt: skip
HIDDEN = [".env", "deploy/master.key", "deploy/.npmrc"]


@pytest.fixture
async def context(tmp_path: Path) -> Context:
    made = await context_of(tmp_path / "repo", FILES, known={"GATEWAY_KEY": KNOWN}, show=("master.pem",))
    # The base commit may leave them out; here they are, as after a command that wrote them.
    write(made.workspace.root, FILES)
    return made


@pytest.fixture
def root(context: Context) -> Path:
    return context.workspace.root


class TestFilesOfSecrets:
    @pytest.mark.parametrize("path", [*HIDDEN, ".ENV", "deploy/../.env", "link.txt"])
    async def test_they_are_refused_with_the_setting_that_shows_them(self, context, root, path) -> None:
        write(root, {".ENV": "x\n"})
        (root / "link.txt").symlink_to(".env")
        for name, more in (("read_file", {}), ("edit_file", {"old": "A", "new": "B"}),
                           ("write_file", {"content": "x"}), ("search_text", {"pattern": "."})):  # fmt: skip
            told = await error(context, name, path=path, **more)
            assert "sandbox.show" in told
            assert TOKEN not in told
        assert (root / ".env").read_text() == f"A={TOKEN}\n"

    @pytest.mark.parametrize("few", [0, 10_000], ids=["ripgrep", "python"])
    async def test_they_are_neither_listed_nor_found(self, context, monkeypatch, few) -> None:
        monkeypatch.setattr(search_tool, "_FEW_FILES", few)
        listed = (await text(context, "list_files")).splitlines()
        assert ".env.example" in listed
        assert not set(HIDDEN) & set(listed)
        assert "deploy" not in await text(context, "list_files", path="deploy")
        assert ".env:" not in await text(context, "search_text", pattern="A=")
        assert ".env.example:1:" in await text(context, "search_text", pattern="A=")

    async def test_the_setting_shows_them(self, tmp_path) -> None:
        shown = await context_of(tmp_path / "shown", FILES, show=("master.key",))
        write(shown.workspace.root, FILES)
        assert "k" in await text(shown, "read_file", path="deploy/master.key")
        assert "deploy/master.key" in await text(shown, "list_files", path="deploy")


class TestSecretsInFiles:
    async def test_what_is_read_or_found_is_cleaned(self, context) -> None:
        for name, args in (("read_file", {"path": "config.py"}), ("search_text", {"pattern": "=", "glob": "config.py"}),
                           ("run_command", {"command": "cat config.py .env with_key.py"})):  # fmt: skip
            told = await text(context, name, **args)
            assert TOKEN not in told
            assert KNOWN not in told
            assert "[secret:GATEWAY_KEY]" in told

    async def test_a_secret_that_spans_lines_shows_none_of_them(self, context) -> None:
        whole = await text(context, "read_file", path="with_key.py")
        assert "MIIEv" not in whole
        assert "     1\tBEFORE = 1\n     2\tKEY = " in whole
        assert "    24\tAFTER = 2" in whole
        assert "MIIEv" not in await text(context, "read_file", path="with_key.py", start=8, end=12)
        assert "AFTER" in await text(context, "read_file", path="with_key.py", start=8)
        assert "MIIEv" not in (await text(context, "search_text", pattern="MIIEv", glob="with_key.py"))
        assert "MIIEv" not in (await text(context, "search_text", pattern="BEFORE|KEY|MII", glob="with_key.py"))

    async def test_no_half_of_a_secret_is_left_by_a_cut(self, context, root) -> None:
        write(root, {"wide.txt": "x" * 280 + f" {TOKEN}\n", "wider.txt": "y" * 1990 + f" {TOKEN}\n"})
        assert TOKEN[:10] not in await text(context, "search_text", pattern="x", path="wide.txt")
        assert TOKEN[:10] not in await text(context, "read_file", path="wider.txt")

    async def test_a_nearest_line_is_cleaned_too(self, context) -> None:
        told = await error(
            context, "edit_file", path="config.py", old="LIMIT = 3\nNAME = the-key-of-my-gateway\n", new="x"
        )
        assert "LIMIT = 3" in told
        assert KNOWN not in told


class TestWritingBack:
    async def test_an_edit_around_a_secret_leaves_it(self, context, root) -> None:
        seen = (await text(context, "read_file", path="config.py")).splitlines()
        line = seen[0].partition("\t")[2]
        assert "[secret:github_token:" in line
        new = f"{line}\nLIMIT = 4\n"
        assert "changed" in await text(context, "edit_file", path="config.py", old=f"{line}\nLIMIT = 3\n", new=new)
        assert (root / "config.py").read_text() == CONFIG.replace("3", "4")

    @pytest.mark.parametrize(("path", "before"), [("config.py", CONFIG), ("with_key.py", WITH_KEY)])
    async def test_a_whole_file_is_written_back_with_its_secrets(self, context, root, path, before) -> None:
        seen = await text(context, "read_file", path=path)
        content = "".join(line.partition("\t")[2] + "\n" for line in seen.splitlines())
        assert TOKEN not in content
        await text(context, "write_file", path=path, content=f"# new\n{content}")
        assert (root / path).read_text() == f"# new\n{before}"

    async def test_a_placeholder_of_nothing_is_refused_and_nothing_written(self, context, root) -> None:
        made_up = 'X = "[secret:github_token:00000000]"\n'
        assert "is a placeholder for a secret" in await error(context, "write_file", path="config.py", content=made_up)
        assert "is a placeholder for a secret" in await error(context, "write_file", path="new.py", content=made_up)
        told = await error(context, "edit_file", path="plain.py", old="x = 1", new="x = '[secret:GATEWAY_KEY]'")
        assert "is a placeholder for a secret" in told
        assert (root / "config.py").read_text() == CONFIG
        assert (root / "plain.py").read_text() == "x = 1\n"
        assert not (root / "new.py").exists()

    async def test_a_file_about_placeholders_can_be_edited(self, context, root) -> None:
        write(root, {"doc.md": "It shows [secret:KIND] then.\n"})
        await text(context, "edit_file", path="doc.md", old="[secret:KIND] then", new="[secret:KIND] now")
        assert (root / "doc.md").read_text() == "It shows [secret:KIND] now.\n"


class TestKeptOutputs:
    async def test_what_a_command_prints_is_kept_without_its_secrets(self, context) -> None:
        command = "cat .env; seq 1 9000; cat with_key.py; cat config.py"
        shown = await text(context, "run_command", command=command)
        assert TOKEN not in shown
        for path in context.workspace.run_dir.rglob("*"):
            if path.is_file():
                kept = path.read_text()
                assert TOKEN not in kept
                assert KNOWN not in kept
                assert "MIIEv" not in kept
        name = shown.partition("full text in ")[2].split()[0]
        assert "4500\n" in (context.workspace.run_dir / name).read_text()

    async def test_while_a_command_runs_nothing_of_it_is_in_the_run_folder(self, context, root) -> None:
        folder = context.workspace.run_dir
        command = "cat .env; touch said; while [ -e said ]; do sleep 0.05; done"
        running = asyncio.create_task(call(context, "run_command", command=command))
        while not (root / "said").exists():
            await asyncio.sleep(0.02)
        assert not [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size]
        (root / "said").unlink()
        assert TOKEN not in (await running).text

    async def test_a_program_may_open_its_output_once_more(self, context) -> None:
        command = "echo one; echo two >> /dev/stdout; echo three | tee -a /dev/stderr"
        told = await text(context, "run_command", command=command)
        assert told.split()[:3] == ["one", "two", "three"]
