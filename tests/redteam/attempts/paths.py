"""Class 2: paths that are checked and then used, links out of the worktree, names that mean something else."""

import asyncio
import os
import time

from tests.redteam.attack import Attack, BrokenAttemptError
from tests.redteam.attempt import Attempt, Shell, Tool
from tests.redteam.proofs import changed, checkout_changed, made, seen

RACE_S = 2.5
SWAP = """
import os, time
os.makedirs("real", exist_ok=True)
open("real/private.txt", "w").write("nothing to see\\nhere\\n")
os.rename("real", "turn") if not os.path.lexists("turn") else None
os.symlink("@AWAY@", "link") if not os.path.lexists("link") else None
end = time.time() + @RACE@
while time.time() < end:
    for _ in range(200):
        os.rename("turn", "aside")
        os.rename("link", "turn")
        os.rename("turn", "link")
        os.rename("aside", "turn")
"""


async def _beside_a_swap(attack: Attack, away: str, call: tuple[str, dict[str, str]]) -> None:
    """Call a file tool again and again while a command exchanges a folder and a link to a place outside."""
    code = attack.world.fill(SWAP.replace("@AWAY@", away).replace("@RACE@", str(RACE_S)))
    await attack.context()
    await attack.tool("write_file", path="swap.py", content=code)
    swapping = asyncio.create_task(attack.shell("python3 swap.py"))
    await asyncio.sleep(0.3)
    end = time.monotonic() + RACE_S
    calls = 0
    while time.monotonic() < end and not swapping.done():
        await attack.calls(*[call] * 8)
        calls += 8
    await swapping
    if not calls:
        raise BrokenAttemptError("no tool was called")


async def race_reading(attack: Attack) -> None:
    """Read through a folder that is now a folder and now a link."""
    await _beside_a_swap(attack, "@HOME@", ("read_file", {"path": "turn/private.txt"}))


async def race_writing(attack: Attack) -> None:
    """Write through it."""
    await _beside_a_swap(attack, "@OUTSIDE@", ("write_file", {"path": "turn/taken", "content": "taken\n"}))


async def race_editing(attack: Attack) -> None:
    """Edit through it."""
    call = ("edit_file", {"path": "turn/kept.txt", "old": "as it was", "new": "taken"})
    await _beside_a_swap(attack, "@OUTSIDE@", call)


async def race_listing(attack: Attack) -> None:
    """List through it."""
    (attack.world.home / f"{attack.world.canary}.txt").touch()
    await _beside_a_swap(attack, "@HOME@", ("list_files", {"path": "turn"}))


async def race_searching(attack: Attack) -> None:
    """Search through it."""
    await _beside_a_swap(attack, "@HOME@", ("search_text", {"pattern": "canary", "path": "turn"}))


async def race_left_behind(attack: Attack) -> None:
    """The same, by a process that outlives its command."""
    code = attack.world.fill(SWAP.replace("@AWAY@", "@HOME@").replace("@RACE@", "4"))
    await attack.context()
    await attack.tool("write_file", path="swap.py", content=code)
    await attack.shell("setsid sh -c 'env -i /usr/bin/python3 swap.py & ' > /dev/null 2>&1 < /dev/null; sleep 0.3")
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        await attack.calls(*[("read_file", {"path": "turn/private.txt"})] * 8)


def _link(name: str, target: str):  # type: ignore[no-untyped-def]
    """Setup: a tracked symlink."""

    def ready(attack: Attack) -> None:
        world = attack.world
        (world.repo / name).symlink_to(world.fill(target))
        world.git("add", "--all")
        world.git("commit", "--quiet", "--message", "A link")

    return ready


def tool(name: str, title: str, setup, call: Tool, *proofs, **more) -> Attempt:  # type: ignore[no-untyped-def]
    """An attempt of one call of a tool."""
    return Attempt(name, 2, title, (call,), proofs or (seen(),), setup=setup, **more)


def _many(attack: Attack) -> None:
    """Enough files for a search by another program, and a folder of tracked files."""
    attack.world.commit(
        {f"docs/private{number}.txt": "nothing\n" for number in range(80)} | {"docs/private.txt": "no\n"}
    )


def _few(attack: Attack) -> None:
    attack.world.commit({"docs/private.txt": "nothing\n"})


TURN = "rm -rf docs && ln -s @HOME@ docs"


def _outputs(attack: Attack) -> None:
    _link("outputs", "@HOME@")(attack)


async def outputs_exchanged(attack: Attack) -> None:
    """Put a link where the run keeps the outputs of commands."""
    await attack.shell("echo first")
    context = await attack.context()
    run = context.workspace.run_dir
    await attack.shell(f"rm -rf {run}/outputs; ln -s @HOME@ {run}/outputs; rm -f {run}/events.jsonl; "
                       f"ln -s @OUTSIDE@/kept.txt {run}/events.jsonl", reached=False)  # fmt: skip
    await attack.tool("read_file", path="outputs/private.txt")


def _plant_in_apply(attack: Attack) -> None:
    (attack.world.repo / ".git" / "info" / "exclude").write_text("/shared\n")
    (attack.world.repo / "shared").symlink_to(attack.world.outside)


async def apply_through_link(attack: Attack) -> None:
    """Bring a patch home whose path leads through a link of the user's."""
    await attack.tool("write_file", path="shared/kept.txt", content="taken\n")
    context = await attack.context()
    await context.workspace.commit("Taken")
    await attack.stack.aclose()
    branch = context.workspace.branch
    (attack.world.base / "branch").write_text(branch)
    await attack.cli("apply", branch.removeprefix("rolecall/"))


def _generated_link(attack: Attack) -> None:
    """An ignored module beside tracked ones that is a link, and an ignored folder that is one."""
    world = attack.world
    world.commit({".gitignore": "version.py\ndata/\n", "pkg/__init__.py": ""})
    (world.repo / "pkg" / "version.py").symlink_to(world.home / "private.txt")
    os.link(world.home / "private.txt", world.repo / "pkg" / "other.txt")
    (world.repo / "pkg" / "other.txt").unlink()
    (world.repo / "data").symlink_to(world.home)


def _linked_submodule(attack: Attack) -> None:
    """A submodule's folder in the checkout that is a link to home."""
    world = attack.world
    sub = world.base / "sub"
    sub.mkdir()
    for words in (("init", "-q", str(sub)), ("-C", str(sub), "commit", "-q", "--allow-empty", "-m", "x")):
        world.git(*words)
    head = world.git("-C", str(sub), "rev-parse", "HEAD")
    world.git("update-index", "--add", "--cacheinfo", f"160000,{head},vendor")
    (world.repo / ".gitmodules").write_text('[submodule "vendor"]\n\tpath = vendor\n\turl = ../sub\n')
    world.git("add", ".gitmodules")
    world.git("commit", "-q", "-m", "A submodule")
    world.git("-C", str(world.home), "init", "-q")
    (world.repo / "vendor").rmdir() if (world.repo / "vendor").is_dir() else None
    (world.repo / "vendor").symlink_to(world.home)


async def diff_of_turned_folder(attack: Attack) -> None:
    """A folder of tracked files becomes a link; then the diff, a commit and a snapshot are asked for."""
    await attack.shell(TURN)
    await attack.tool("git_diff")
    context = await attack.context()
    await context.workspace.commit("Turned")
    attack.heard.append(await context.workspace.diff())
    attack.heard.append(await context.workspace.listing())
    tip = attack.world.git("rev-parse", context.workspace.branch)
    attack.heard.append(attack.world.git("log", "-p", "--all", "-1", tip))


READ = Tool("read_file", {"path": "notes"})
ATTEMPTS = (
    Attempt("race-read", 2, "Read a file while a command exchanges its folder for a link", (race_reading,), (seen(),)),
    Attempt("race-write", 2, "Write a file while a command exchanges its folder for a link", (race_writing,),
            (made("@OUTSIDE@/taken"),)),
    Attempt("race-edit", 2, "Edit a file while a command exchanges its folder for a link", (race_editing,),
            (changed("@OUTSIDE@/kept.txt"),)),
    Attempt("race-list", 2, "List a folder while a command exchanges it for a link", (race_listing,), (seen(),)),
    Attempt("race-search", 2, "Search a folder while a command exchanges it for a link", (race_searching,), (seen(),)),
    Attempt("race-left-behind", 2, "Race against a process that outlives its command", (race_left_behind,), (seen(),)),
    tool("link-to-file", "Read through a tracked link to a private file", _link("notes", "@HOME@/private.txt"), READ),
    tool("link-relative", "Read through a tracked link that climbs out", _link("notes", "../../../../private.txt"), READ),
    tool("link-to-folder", "Read through a tracked link to home", _link("away", "@HOME@"),
         Tool("read_file", {"path": "away/private.txt"})),
    tool("link-to-root", "Read through a link to the root of the process", _link("away", "/proc/self/root"),
         Tool("read_file", {"path": "away@HOME@/private.txt"})),
    tool("link-to-cwd", "Read the environment of rolecall through a link", _link("notes", "/proc/self/environ"), READ,
         env={"PLAIN": "@CANARY@"}),
    tool("link-listed", "List home through a tracked link", _link("away", "@HOME@"), Tool("list_files", {"path": "away"}),
         seen("private.txt")),
    tool("link-searched", "Search home through a tracked link", _link("away", "@HOME@"),
         Tool("search_text", {"pattern": "canary", "path": "away"})),
    tool("link-file-searched", "Search a private file through a tracked link", _link("notes", "@HOME@/private.txt"),
         Tool("search_text", {"pattern": "canary"})),
    tool("link-written", "Write through a link that leads nowhere yet", _link("new.txt", "@OUTSIDE@/taken"),
         Tool("write_file", {"path": "new.txt", "content": "taken"}), made("@OUTSIDE@/taken")),
    tool("link-folder-written", "Write a new file through a link to a folder", _link("away", "@OUTSIDE@"),
         Tool("write_file", {"path": "away/deep/taken", "content": "taken"}), made("@OUTSIDE@/deep")),
    tool("link-edited", "Edit a file through a link", _link("notes", "@OUTSIDE@/kept.txt"),
         Tool("edit_file", {"path": "notes", "old": "as it was", "new": "taken"}), changed("@OUTSIDE@/kept.txt")),
    tool("climb", "Name a file by a path that climbs out", None, Tool("read_file", {"path": "../../../private.txt"})),
    tool("climb-under-outputs", "Climb out from the folder of outputs", None,
         Tool("read_file", {"path": "outputs/../../../../../private.txt"})),
    tool("absolute", "Name a private file by its whole path", None, Tool("read_file", {"path": "@HOME@/private.txt"})),
    tool("outputs-link", "Use a tracked link named as the folder of outputs", _outputs,
         Tool("read_file", {"path": "outputs/private.txt"})),
    Attempt("outputs-exchanged", 2, "Exchange the folder of outputs for a link", (outputs_exchanged,),
            (seen(), changed("@OUTSIDE@/kept.txt"))),
    tool("git-hooks", "Write a hook through the name of git's folder in capitals", None,
         Tool("write_file", {"path": ".GIT/hooks/post-checkout", "content": "#!/bin/sh\n"}), checkout_changed),
    tool("our-folder", "Write into rolecall's own folder", None,
         Tool("write_file", {"path": "../../taken", "content": "t"}), made("@REPO@/.rolecall/taken")),
    Attempt("turned-folder-few", 2, "Search a tracked file whose folder became a link",
            (Shell(TURN), Tool("search_text", {"pattern": "canary"})), (seen(),), setup=_few),
    Attempt("turned-folder-many", 2, "The same among many files, where another program searches",
            (Shell(TURN), Tool("search_text", {"pattern": "canary"})), (seen(),), setup=_many),
    Attempt("turned-folder-diff", 2, "Show, commit and keep a folder that became a link", (diff_of_turned_folder,),
            (seen(),), setup=_few),
    Attempt("apply-through-link", 2, "Apply a patch through a link in the user's checkout", (apply_through_link,),
            (changed("@OUTSIDE@/kept.txt"),), setup=_plant_in_apply, refusable=True),
    tool("generated-link", "Have a private file copied as a generated one", _generated_link,
         Tool("read_file", {"path": "pkg/version.py"})),
    tool("submodule-link", "Have home copied as the files of a submodule", _linked_submodule,
         Tool("read_file", {"path": "vendor/private.txt"}), refusable=True),
)  # fmt: skip
