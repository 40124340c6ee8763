import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
FIRST = NOTEBOOKS / "01_first_run.ipynb"
SERVICE = NOTEBOOKS / "02_service.ipynb"


@pytest.fixture
def own_jupyter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels write history and connection files; none of that is for the user's home."""
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))


def printed(notebook: nbformat.NotebookNode) -> str:
    return "".join(
        output["text"]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output["output_type"] == "stream"
    )


async def executed(path: Path) -> nbformat.NotebookNode:
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(NOTEBOOKS)}}
    await NotebookClient(notebook, timeout=240, kernel_name="python3", resources=resources).async_execute()
    return notebook


def shown(notebook: nbformat.NotebookNode) -> list[str]:
    return [
        output["data"]["text/markdown"]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output["output_type"] == "display_data"
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("own_jupyter")
async def test_the_first_run_goes_as_the_notebook_tells_it() -> None:
    notebook = await executed(FIRST)
    text = printed(notebook)
    assert "coder: embedded" in text
    assert "assess -.-> implement" in text
    assert "step: s1" in text
    assert "outcome: done | green: True" in text
    assert "next: implement" in text
    assert "+        return self.count <= self.reorder_at" in text
    assert any(page.startswith("# Done: all checks are green") for page in shown(notebook))


@pytest.mark.slow
@pytest.mark.usefixtures("own_jupyter")
async def test_the_service_is_used_as_the_notebook_tells_it() -> None:
    notebook = await executed(SERVICE)
    text = printed(notebook)
    assert " done Make the failing tests pass" in text
    assert "+        return self.count <= self.reorder_at" in text
    assert "the last of them: result" in text
    assert "new since then: 0" in text
    assert "True True needs_model" in text
    assert "refused it stopped because it needs a model" in text
    assert "is merged into your branch" in text


def test_notebooks_are_kept_without_outputs() -> None:
    files = sorted(str(path) for path in NOTEBOOKS.glob("*.ipynb"))
    assert files
    done = subprocess.run(
        [sys.executable, "-m", "nbstripout", "--verify", *files], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
