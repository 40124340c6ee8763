from core.context import Context
from graph.build import build_graph
from tests.architecture.sources import HOUSE
from tests.golden.golden import Golden


def drawn() -> str:
    return build_graph().compile().get_graph().draw_mermaid()


def test_the_graph_has_the_edges_that_were_accepted(golden: Golden) -> None:
    golden.check("graph.mmd", drawn())


def test_the_picture_in_the_documentation_is_this_graph() -> None:
    assert f"```mermaid\n{drawn().strip()}\n```" in (HOUSE / "ARCHITECTURE.md").read_text(encoding="utf-8")


def test_studio_is_given_the_same_graph() -> None:
    async def nobody(thread: str) -> Context:
        raise AssertionError(thread)

    assert build_graph(context_for=nobody).compile().get_graph().draw_mermaid() == drawn()
