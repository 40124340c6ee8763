"""Class 4: programs that git runs for us, named in configuration the target may plant or rewrite."""

import asyncio
import time

from core.errors import RolecallError
from tests.redteam.attack import Attack, BrokenAttemptError
from tests.redteam.attempt import WALLS, Attempt
from tests.redteam.proofs import made, noted

PROGRAM = "echo ran >> @OUTSIDE@/ran; cat"
RAN = (made("@OUTSIDE@/ran"),)


async def whole_turn(attack: Attack) -> None:
    """Whatever git is used for in the life of a thread: worktree, change, diff, commit, snapshot, listing."""
    context = await attack.context()
    await attack.tool("write_file", path="notes.txt", content="other words\n")
    await attack.tool("write_file", path="new.txt", content="new words\n")
    await attack.tool("write_file", path="plain.md", content="plain words\n")
    await attack.tool("git_diff")
    await attack.tool("git_diff", stat=True)
    await attack.tool("list_files")
    await attack.tool("search_text", pattern="words")
    await context.workspace.snapshot()
    if await context.workspace.commit("A change") is None:
        raise BrokenAttemptError("nothing was committed")
    await context.workspace.diff()
    await context.workspace.changed_files()
    await context.workspace.snapshot()


def configured(*settings: tuple[str, str], files: dict[str, str] | None = None, script: str = PROGRAM):  # type: ignore[no-untyped-def]
    """Setup: the user's repository is configured to run a script that is tracked in it."""

    def ready(attack: Attack) -> None:
        world = attack.world
        world.commit(
            {"notes.txt": "words\n", "tool.sh": f"#!/bin/sh\n{script}\n", "img.png": "words\n", **(files or {})}
        )
        (world.repo / "tool.sh").chmod(0o755)
        world.git("add", "--all")
        world.git("commit", "--quiet", "--allow-empty", "--message", "Mode")
        for name, value in settings:
            world.git("config", name, world.fill(value))

    return ready


ALL_FILES = {".gitattributes": "*.txt filter=x diff=x merge=x\n"}


def program(name: str, title: str, *settings: tuple[str, str], files=None, script=PROGRAM, **more) -> Attempt:  # type: ignore[no-untyped-def]
    """An attempt whose program is named by the repository's configuration."""
    ready = configured(*settings, files=ALL_FILES if files is None else files, script=script)
    return Attempt(name, 4, title, (whole_turn,), RAN, setup=ready, refusable=True, **more)


def hook(*names: str):  # type: ignore[no-untyped-def]
    """Setup: hooks, in the folder of git and in a tracked one that is configured."""

    def ready(attack: Attack) -> None:
        configured(("core.hooksPath", ".husky"))(attack)
        for name in names:
            attack.world.program(attack.world.repo / ".husky" / name, "echo ran >> @OUTSIDE@/ran\n")
            attack.world.program(attack.world.repo / ".git" / "hooks" / name, "echo ran >> @OUTSIDE@/ran\n")
        attack.world.git("-c", "core.hooksPath=/dev/null", "add", "--all")
        attack.world.git("-c", "core.hooksPath=/dev/null", "commit", "--quiet", "--message", "Hooks")
        (attack.world.outside / "ran").unlink(missing_ok=True)

    return ready


def _included(attack: Attack) -> None:
    """The user's repository includes a tracked file of settings, as some projects ask for."""
    configured(("include.path", "../.gitconfig"), files={
        **ALL_FILES, ".gitconfig": '[filter "x"]\n\tclean = sh tool.sh\n\tsmudge = sh tool.sh\n[core]\n\tfsmonitor = sh tool.sh\n',
    })(attack)  # fmt: skip


def _of_the_user(attack: Attack) -> None:
    """The filter is in the user's own configuration and runs a module of the repository."""
    configured(
        files={**ALL_FILES, "clean.py": "import sys\nopen('@OUTSIDE@/ran', 'w')\nsys.stdout.write(sys.stdin.read())\n"}
    )(attack)
    with (attack.world.home / ".gitconfig").open("a") as file:
        file.write('[filter "x"]\n\tclean = python3 -m clean\n\tsmudge = python3 -m clean\n')
    (attack.world.outside / "ran").unlink(missing_ok=True)


NESTED = """
mkdir -p nested && cd nested && git init -q . && git config user.name a && git config user.email a@b
printf '#!/bin/sh\\necho ran >> @OUTSIDE@/ran\\ncat\\n' > ../evil.sh; chmod +x ../evil.sh
git config core.fsmonitor "$PWD/../evil.sh"; git config core.sshCommand "$PWD/../evil.sh"
git config filter.x.clean "$PWD/../evil.sh"; git config diff.external "$PWD/../evil.sh"
echo '* filter=x' > .gitattributes; echo words > notes.txt
git -c core.fsmonitor=false -c filter.x.clean=cat add -A; git -c core.fsmonitor=false -c filter.x.clean=cat commit -q -m x
"""


def _submodule(attack: Attack) -> None:
    """A submodule that is checked out and whose own configuration names programs."""
    world = attack.world
    configured()(attack)
    world.git("-c", "protocol.file.allow=always", "clone", "-q", ".", "vendor")
    world.git("-C", "vendor", "config", "core.fsmonitor", f"{world.repo}/tool.sh")
    world.git("-C", "vendor", "config", "filter.x.clean", f"{world.repo}/tool.sh")
    (world.repo / "vendor" / ".gitattributes").write_text("* filter=x\n")
    head = world.git("-C", "vendor", "rev-parse", "HEAD")
    world.git("update-index", "--add", "--cacheinfo", f"160000,{head},vendor")
    (world.repo / ".gitmodules").write_text('[submodule "vendor"]\n\tpath = vendor\n\turl = ./vendor\n')
    world.git("add", ".gitmodules")
    world.git("-c", "core.fsmonitor=false", "commit", "-q", "-m", "A submodule")
    (world.outside / "ran").unlink(missing_ok=True)


def _ext_submodule(attack: Attack) -> None:
    """A submodule whose address and whose way of updating are commands."""
    world = attack.world
    configured(("submodule.vendor.url", "ext::sh -c 'echo ran > @OUTSIDE@/ran'"),
               ("submodule.vendor.update", "!echo ran > @OUTSIDE@/ran"), ("submodule.recurse", "true"),
               ("protocol.ext.allow", "always"))(attack)  # fmt: skip
    head = world.git("rev-parse", "HEAD")
    world.git("update-index", "--add", "--cacheinfo", f"160000,{head},vendor")
    (world.repo / ".gitmodules").write_text(
        '[submodule "vendor"]\n\tpath = vendor\n\turl = ext::sh -c true\n\tupdate = checkout\n'
    )
    world.git("-c", "submodule.recurse=false", "add", ".gitmodules")
    world.git("-c", "submodule.recurse=false", "commit", "-q", "-m", "A submodule")
    (world.repo / "vendor").mkdir(exist_ok=True)


async def after_nested(attack: Attack) -> None:
    """A command makes a repository inside the worktree; then git is used."""
    await attack.shell(NESTED)
    await whole_turn(attack)


async def attributes_by_command(attack: Attack) -> None:
    """A command of the model rewrites what a configured filter runs; then git is used outside of the walls."""
    await attack.context()
    (attack.world.outside / "ran").unlink(missing_ok=True)
    await attack.shell("printf '#!/bin/sh\\necho ran >> @OUTSIDE@/ran\\ncat\\n' > tool.sh; chmod +x tool.sh; "
                       "echo '*.txt filter=x diff=x' > .gitattributes")  # fmt: skip
    await whole_turn(attack)


async def forged_worktree_config(attack: Attack) -> None:
    """A command writes settings where the worktree's own lie."""
    await attack.shell(
        "d=$(git rev-parse --git-dir); c=$(git rev-parse --git-common-dir); "
        "for at in $d/config.worktree $c/config $c/info/attributes $c/hooks/reference-transaction $d/index; do "
        "printf '[core]\\n\\tfsmonitor = echo ran >> @OUTSIDE@/ran\\n' >> $at; done"
    )
    await whole_turn(attack)


async def apply_merges(attack: Attack) -> None:
    """The branch is brought home, where a driver for merges and hooks are configured."""
    context = await attack.context()
    await attack.tool("write_file", path="notes.txt", content="other words\n")
    await context.workspace.commit("A change")
    await attack.stack.aclose()
    (attack.world.repo / "README.md").write_text("changed meanwhile\n")
    attack.world.git("-c", "core.hooksPath=/dev/null", "-c", "filter.x.clean=cat", "commit", "-q", "-am", "Meanwhile")
    (attack.world.outside / "ran").unlink(missing_ok=True)
    await attack.cli("apply", context.workspace.branch.removeprefix("rolecall/"))


async def encoded(attack: Attack) -> None:
    """A file is said to be in an encoding that nobody knows; the work must be kept all the same."""
    await attack.tool("write_file", path=".gitattributes", content="*.txt working-tree-encoding=UTF-99 text\n")
    await attack.tool("write_file", path="notes.txt", content="other words\n")
    context = await attack.context()
    try:
        commit = await context.workspace.commit("A change")
        told = any("notes.txt" in notice for notice in context.workspace.notices())
        if commit is None or ("notes.txt" not in await context.workspace.diff() and not told):
            attack.kept["lost"] = "the work was not committed, and nobody was told"
    except RolecallError as error:
        attack.kept["lost"] = f"the work could not be committed: {error.message}"


def timed(name: str, most_s: float):  # type: ignore[no-untyped-def]
    """Note when what follows takes too long."""

    async def measure(attack: Attack) -> None:
        context = await attack.context()
        await attack.shell(attack.kept["prepare"], timeout_s=60)
        began = time.monotonic()
        try:
            async with asyncio.timeout(most_s * 2):
                await attack.tool("git_diff", stat=True)
                await context.workspace.snapshot()
        except TimeoutError:
            attack.kept[name] = "git was held for ever"
            return
        except RolecallError as error:
            attack.kept[name] = f"git could not go on: {error.message}"
            return
        if time.monotonic() - began > most_s:
            attack.kept[name] = f"git was held for {time.monotonic() - began:.0f} s"

    return measure


def prepare(script: str):  # type: ignore[no-untyped-def]
    """Setup: keep the command that prepares the trap."""

    def ready(attack: Attack) -> None:
        attack.kept["prepare"] = script

    return ready


async def gitlink_moved(attack: Attack) -> None:
    """A command replaces a submodule by a repository of its own; the commit must not move the link."""
    await attack.shell("rm -rf vendor; mkdir vendor; cd vendor; git init -q .; "
                       "git -c user.name=a -c user.email=a@b commit -q --allow-empty -m evil")  # fmt: skip
    await attack.tool("write_file", path="notes.txt", content="other words\n")
    context = await attack.context()
    await context.workspace.commit("A change")
    branch = context.workspace.branch
    if attack.world.git("rev-parse", f"{branch}:vendor") != attack.world.git("rev-parse", "HEAD:vendor"):
        attack.kept["moved"] = "the commit of a submodule was exchanged"


ATTEMPTS = (
    program("filter-clean", "A filter that cleans is a script of the repository", ("filter.x.clean", "sh tool.sh")),
    program("filter-smudge", "A filter that smudges is a script of the repository", ("filter.x.smudge", "./tool.sh"),
            ("filter.x.required", "true")),
    program("filter-process", "A filter that is a long-running process of the repository", ("filter.x.process", "./tool.sh")),
    program("textconv", "A converter for diffs is a script of the repository", ("diff.x.textconv", "@REPO@/tool.sh")),
    program("external-diff", "A driver for diffs is a script of the repository", ("diff.x.command", "@REPO@/tool.sh"),
            ("diff.external", "@REPO@/tool.sh")),
    program("fsmonitor", "A watcher of files is a script of the repository", ("core.fsmonitor", "@REPO@/tool.sh"),
            ("core.untrackedCache", "true")),
    program("pager-editor", "Pager, editor, helper and signer are scripts of the repository",
            ("core.pager", "@REPO@/tool.sh"), ("core.editor", "@REPO@/tool.sh"), ("gpg.program", "@REPO@/tool.sh"),
            ("commit.gpgSign", "true"), ("credential.helper", "!@REPO@/tool.sh"), ("core.askPass", "@REPO@/tool.sh"),
            ("core.alternateRefsCommand", "@REPO@/tool.sh"), ("pager.diff", "@REPO@/tool.sh"),
            ("trailer.x.command", "@REPO@/tool.sh"), ("log.showSignature", "true")),
    Attempt("hooks", 4, "Hooks of the repository and in a tracked folder", (whole_turn,), RAN,
            setup=hook("post-checkout", "pre-commit", "post-commit", "reference-transaction", "post-index-change",
                       "fsmonitor-watchman", "prepare-commit-msg", "commit-msg", "post-rewrite", "pre-auto-gc")),
    Attempt("included-settings", 4, "The settings include a tracked file", (whole_turn,), RAN, setup=_included),
    Attempt("filter-by-module", 4, "The user's own filter runs a module of the repository", (whole_turn,), RAN,
            setup=_of_the_user),
    Attempt("submodule-settings", 4, "A submodule's own settings name programs", (whole_turn,), RAN, setup=_submodule),
    Attempt("submodule-commands", 4, "A submodule is fetched and updated by commands", (whole_turn,), RAN,
            setup=_ext_submodule),
    Attempt("nested-repository", 4, "A repository made by a command names programs", (after_nested,), RAN, WALLS,
            setup=configured()),
    Attempt("filter-rewritten", 4, "A command rewrites the script that a filter runs", (attributes_by_command,), RAN, WALLS,
            setup=configured(("filter.x.clean", "sh tool.sh"), ("diff.x.textconv", "sh tool.sh"), script="cat")),
    Attempt("settings-forged", 4, "A command writes settings of git", (forged_worktree_config,), RAN, WALLS,
            setup=configured()),
    Attempt("apply-programs", 4, "A patch is brought home past drivers and hooks", (apply_merges,), RAN,
            setup=hook("post-merge", "pre-merge-commit", "post-checkout", "reference-transaction", "applypatch-msg",
                       "pre-applypatch", "post-applypatch", "prepare-commit-msg", "commit-msg", "post-commit")),
    Attempt("unknown-encoding", 4, "An encoding nobody knows keeps the work from being committed", (encoded,),
            (noted("lost"),), setup=configured()),
    Attempt("gitlink-moved", 4, "The commit of a submodule is exchanged", (gitlink_moved,), (noted("moved"),),
            setup=_submodule),
    Attempt("git-fifo", 4, "A pipe nobody writes to holds git", (timed("held", 8.0),), (noted("held"),),
            setup=prepare("mkfifo pipe; mkdir -p sub; mkfifo sub/p.py; rm README.md; mkfifo README.md")),
    Attempt("git-huge-file", 4, "A file of 3 GB with nothing in it holds git", (timed("held", 10.0),), (noted("held"),),
            setup=prepare("truncate -s 3G huge.bin; rm -f README.md; truncate -s 3G README.md"), alone=True, within_s=90),
    Attempt("git-many-files", 4, "Ten thousand new files hold git", (timed("held", 60.0),), (noted("held"),),
            setup=prepare("python3 -c \"import os\nfor n in range(10000):\n    if n % 500 == 0: os.makedirs(f'm/{n//500}')\n"
                          "    open(f'm/{n//500}/{n}.txt', 'w').write('x')\""), alone=True, within_s=240),
)  # fmt: skip
