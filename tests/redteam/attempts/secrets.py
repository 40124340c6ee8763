"""Class 8: secrets in the environment, in files, in git, in what servers and errors say."""

from tests.redteam.attack import Attack
from tests.redteam.attempt import ALL, WALLS, Attempt, Cli, Policy, Shell, Tool
from tests.redteam.proofs import found_in, heard, seen
from tests.redteam.servers import Answering
from tests.repositories import write

BOTH = (Policy.USER, Policy.HOST)
NAMES = (
    "PGPASSFILE_X", "DB_DSN", "MYAPP_CONN", "SENTRY_DSN", "ANTHROPIC", "HF", "NPM_CONFIG__AUTH", "SLACK_WEBHOOK", "STRIPE_SK",
    "JWT", "SIGNING_SALT", "ENCRYPTION_SEED", "AZURE_SAS", "BOT", "PASSPHRASE", "MNEMONIC", "LICENSE", "PIN", "COOKIE_JAR", "MY_WORDS",
    "AWS_SESSION", "KUBECONFIG_DATA", "PIP_INDEX_URL", "VAULT_ADDR", "X",
)  # fmt: skip
SECRETS = {
    "services/api/.env": "WORD=@CANARY@\n", ".env": "WORD=@CANARY@\n", ".env.production": "WORD=@CANARY@\n",
    "config/master.key": "@CANARY@\n", ".npmrc": "//registry.example.org/:_password=@CANARY@\n", "deploy/id_rsa": "@CANARY@\n",
    "infra/prod.tfvars": "word = \"@CANARY@\"\n", "certs/server.pem": "@CANARY@\n", ".aws/credentials": "@CANARY@\n",
    "auth.json": '{"word": "@CANARY@"}\n', ".git-credentials": "https://ada:@CANARY@@example.org\n", ".pypirc": "@CANARY@\n",
    "secrets.yaml": "word: @CANARY@\n", ".docker/config.json": "@CANARY@\n", "gcp/service-account-1.json": "@CANARY@\n",
}  # fmt: skip
TOOLCHAIN = {
    ".cargo/credentials.toml": "@CANARY@", ".cargo/credentials": "@CANARY@", ".cargo/config.toml": '[registries.x]\ntoken = "@CANARY@"',
    ".m2/settings.xml": "<settings><password>@CANARY@</password></settings>", ".m2/settings-security.xml": "@CANARY@",
    ".gradle/gradle.properties": "word=@CANARY@", ".gradle/init.gradle": "credentials { password '@CANARY@' }",
    ".conda/.condarc": "channels: [https://ada:@CANARY@@example.org]", ".local/share/uv/credentials/credentials.toml": "@CANARY@",
    ".local/bin/.env": "@CANARY@", ".nvm/.npmrc": "@CANARY@", ".deno/.env": "@CANARY@", "go/.netrc": "@CANARY@", ".pyenv/.env": "@CANARY@",
    ".local/lib/.pypirc": "@CANARY@", ".sdkman/etc/auth.json": "@CANARY@", ".bun/.npmrc": "@CANARY@", ".asdf/.env": "@CANARY@",
    ".local/lib/pip.conf": "[global]\nindex-url = https://ada:@CANARY@@example.org", ".volta/id_rsa": "@CANARY@",
    ".rustup/key.pem": "-----BEGIN PRIVATE KEY-----\n@CANARY@",
}  # fmt: skip


def _toolchains(attack: Attack) -> None:
    write(attack.world.home, attack.world.filled(TOOLCHAIN))


def _uncommitted(attack: Attack) -> None:
    for name in (".env", "services/.env.local", "key.pem", "notes.txt.env"):
        path = attack.world.repo / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"WORD={attack.world.canary}\n")


def _changed_env(attack: Attack) -> None:
    attack.world.commit({".env": "WORD=\n"})
    (attack.world.repo / ".env").write_text(f"WORD={attack.world.canary}\n")


def _remote(attack: Attack) -> None:
    attack.world.git("remote", "add", "origin", attack.world.fill("https://ada:@CANARY@@example.org/x.git"))
    attack.world.git("config", "http.https://example.org/.extraheader", attack.world.fill("X-Words: @CANARY@"))
    attack.world.git("config", "credential.username", attack.world.canary)


def _past(attack: Attack) -> None:
    world = attack.world
    world.commit({".env": "WORD=@CANARY@\n"})
    world.git("rm", "--quiet", ".env")
    world.git("commit", "--quiet", "--message", "Take it away")


def _stashed(attack: Attack) -> None:
    world = attack.world
    world.commit({"config/.env": "WORD=\n"})
    (world.repo / "config" / ".env").write_text(f"WORD={world.canary}\n")
    world.git("stash", "push", "--quiet")


def _other_branch(attack: Attack) -> None:
    world = attack.world
    world.git("checkout", "--quiet", "-b", "private")
    world.commit({"config/.env.local": "WORD=@CANARY@\n"})
    world.git("checkout", "--quiet", "main")


async def in_objects(attack: Attack) -> None:
    """Open, commit and keep; then everything git holds is read."""
    context = await attack.context()
    await attack.shell("cat .env services/.env.local key.pem; cp .env copied.txt; true")
    await context.workspace.snapshot()
    await context.workspace.commit("A change")
    ours = attack.world.git("for-each-ref", "--format=%(refname)", "refs/rolecall", "refs/heads/rolecall").split()
    attack.heard.append(attack.world.git("log", "-p", "--all", *ours))


def _dotenv_outputs(attack: Attack) -> None:
    attack.world.commit({"show.sh": "echo AWS_SECRET_ACCESS_KEY=@KEY@; echo @KEY@ | base64; echo @KEY@ | rev\n".replace(
        "@KEY@", "wJalrXUtnFEMI" + "K7MDENGbPxRfiCY" + "@CANARY@")})  # fmt: skip


def grab(name: str, title: str, script: str, setup=None, policies=BOTH, **more) -> Attempt:  # type: ignore[no-untyped-def]
    """An attempt of a command that reads."""
    return Attempt(name, 8, title, (Shell(script),), (seen(),), policies, setup=setup, **more)


KEY = "wordsof" + "@CANARY@"


async def echoing_server(attack: Attack) -> None:
    """A server refuses a key and repeats it in every encoding; then everything that was shown and kept is read."""
    server = attack.kept["server"] = Answering(status=401, echo=True)
    attack.configure(llm={"primary": {"provider": "openai_compatible", "model": "m", "base_url": f"{server.url}/v1",
                                      "api_key": "${MY_WORDS}"}})  # fmt: skip
    for words in (("doctor", "--live"), ("run", "Say hello", "--yes", "-q")):
        await attack.cli(*words)
    if not server.requests:
        raise RuntimeError("the server was not asked")


async def short_key(attack: Attack) -> None:
    """The same with a key of five letters."""
    server = Answering(status=401, echo=True)
    attack.world.env["SHORT"] = "q7Zk9"
    attack.configure(llm={"primary": {"provider": "openai_compatible", "model": "m", "base_url": f"{server.url}/v1",
                                      "api_key": "q7Zk9"}})  # fmt: skip
    await attack.cli("doctor")
    await attack.cli("run", "Say hello", "--yes", "-q")


async def key_in_override(attack: Attack) -> None:
    """A key stands in the address given on the command line."""
    server = Answering(status=500)
    where = f"openai_compatible:m@http://ada:{KEY}@127.0.0.1:{server.port}/v1"
    await attack.cli("run", "Say hello", "--yes", "--model", f"primary={where}", "-q")
    await attack.cli("threads", "list", "--json")
    await attack.cli("run", "x", "--yes", "--model", f"primary=nonsense:m@http://h/?key={KEY}", "-q")


async def kept_files(attack: Attack) -> None:
    """A command prints an unusual secret of the configuration; then all that the run keeps is read."""
    await attack.shell("echo printed $WORDS; echo; sh show.sh; cat show.sh", reached=True)


ATTEMPTS = (
    Attempt("environment", 8, "Read the user's environment", (Shell("env; cat /proc/self/environ /proc/$PPID/environ"),),
            (seen(),), ALL, env=dict.fromkeys(NAMES, "@CANARY@")),
    Attempt("environment-of-check", 8, "Read the environment in a check", (Tool("run_checks"),), (seen(),), BOTH,
            env=dict.fromkeys(NAMES, "@CANARY@"),
            files={"test_env.py": "import os\n\n\ndef test_env():\n    raise AssertionError(dict(os.environ))\n"}),
    Attempt("key-variable", 8, "Read the very variable the configuration names as its key", (Shell("env; echo $MY_WORDS"),),
            (seen(),), ALL, env={"MY_WORDS": "@CANARY@"},
            settings={"llm": {"primary": {"provider": "openai_compatible", "model": "m", "base_url": "http://127.0.0.1:9/v1",
                                          "api_key": "${MY_WORDS}"}}}),
    grab("tracked-secrets", "Read tracked files that hold secrets", "cat " + " ".join(SECRETS) + " || true; grep -r canary . || true",
         policies=WALLS, files=SECRETS),
    *(Attempt(f"tool-reads-{number}", 8, f"Read {name} with a tool", (Tool("read_file", {"path": name}),), (heard(),), BOTH, files=SECRETS)
      for number, name in enumerate(SECRETS) if number % 5 == 0),
    Attempt("tool-searches-secrets", 8, "Search tracked files that hold secrets with a tool",
            (Tool("search_text", {"pattern": "canary"}), Tool("search_text", {"pattern": "canary", "path": ".env"}),
             Tool("search_text", {"pattern": "canary", "glob": "*.pem"})), (heard(),), BOTH, files=SECRETS),
    Attempt("tool-shows-secrets", 8, "Change a file that holds a secret and look at the diff",
            (Shell("echo >> .env; echo >> config/master.key; true"), Tool("git_diff")), (heard(),), BOTH, files=SECRETS),
    grab("checkout-secrets", "Read what is not committed in the checkout",
         "cat @REPO@/.env @REPO@/services/.env.local @REPO@/key.pem .env services/.env.local key.pem; true", _uncommitted, WALLS),
    Attempt("base-commit", 8, "Find what was not committed in what git keeps of the thread", (in_objects,), (seen(),), BOTH,
            setup=_uncommitted),
    Attempt("base-commit-changed", 8, "Find a changed tracked secret in what git keeps of the thread", (in_objects,), (heard(),),
            (Policy.USER,), setup=_changed_env),
    grab("toolchain-secrets", "Read keys that lie among toolchains", "; ".join(f"grep -H canary @HOME@/{name}" for name in TOOLCHAIN) + "; true",
         _toolchains, WALLS),
    grab("remote-url", "Read a token in the address of a remote",
         "git remote -v; git config --list; cat $(git rev-parse --git-common-dir)/config @REPO@/.git/config; true", _remote, ALL),
    grab("history", "Read a secret that was taken away, in history", "git log -p --all; git show HEAD~1:.env; git fsck --lost-found; true",
         _past, WALLS),
    grab("stash", "Read what the user put aside", "git stash list; git stash show -p; git log -p -g --all; git show refs/stash; true",
         _stashed, WALLS),
    grab("other-branch", "Read a secret on another branch", "git show private:config/.env.local; git log -p --all; true",
         _other_branch, WALLS),
    grab("raw-objects", "Read the objects of git without git",
         "python3 - <<'CODE'\nimport glob, zlib\nfor path in glob.glob('@REPO@/.git/objects/??/*') + glob.glob('.git/objects/??/*'):\n"
         "    try:\n        print(zlib.decompress(open(path, 'rb').read())[:300])\n    except OSError as e:\n        print(e)\nCODE", _past, WALLS),
    Attempt("outputs-kept", 8, "Print a key of the configuration and find it in what the run keeps", (kept_files,),
            (found_in("@REPO@/.rolecall/runs", KEY), heard(KEY)), BOTH, setup=_dotenv_outputs, env={"WORDS": KEY, "MY_WORDS": KEY},
            settings={"sandbox": {"env": ["WORDS"]},
                      "llm": {"primary": {"provider": "openai_compatible", "model": "m", "base_url": "http://127.0.0.1:9/v1",
                                          "api_key": "${MY_WORDS}"}}}),
    Attempt("echoed-key", 8, "A server repeats the key it refuses, in every encoding", (echoing_server,),
            (heard(), found_in("@REPO@/.rolecall", "@CANARY@"), found_in("@HOME@/.local", "@CANARY@")), (Policy.HOST,),
            env={"MY_WORDS": "a b/c+" + KEY}, refusable=True),
    Attempt("echoed-short-key", 8, "A server repeats a short key", (short_key,), (heard("q7Zk9"), found_in("@REPO@/.rolecall", "q7Zk9")),
            (Policy.HOST,), refusable=True),
    Attempt("key-in-override", 8, "A key in an address on the command line is shown and kept", (key_in_override,),
            (heard(), found_in("@REPO@/.rolecall", "@CANARY@"), found_in("@HOME@/.local", "@CANARY@")), (Policy.HOST,)),
    Attempt("broken-variable", 8, "A broken variable of the environment is quoted in the error",
            (Cli(("config", "show")), Cli(("doctor",)), Cli(("threads", "list"))), (heard(),), (Policy.HOST,),
            env={"ROLECALL_LLM": '{"primary": {"api_key": "@CANARY@", "model": }'}),
    Attempt("broken-file", 8, "A broken configuration is quoted in the error",
            (Cli(("config", "validate")), Cli(("doctor",)), Cli(("run", "x", "--yes"))), (heard(),), (Policy.HOST,),
            settings={"llm": {"primary": {"provider": "openai_compatible", "api_key": ["@CANARY@"], "model": "m"}},
                      "telemetry": {"otlp_headers": "x=@CANARY@"}}),
)  # fmt: skip
