"""What is asked, and that a long conversation is not copied and converted for each call."""

from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool

from llm_registry.calls.requests import ToolForms, without_lone_surrogates


@tool
def look(path: str) -> str:
    """Look at a file."""
    return path


@tool
def write(path: str) -> str:
    """Write a file."""
    return path


def test_tools_are_converted_once_however_often_they_are_offered() -> None:
    forms = ToolForms()
    first = forms.of([look, write])
    assert [form["function"]["name"] for form in first] == ["look", "write"]
    assert forms.of(()) == ()
    again = forms.of([write, look])
    assert (again[0] is first[1], again[1] is first[0]) == (True, True)


def test_only_messages_with_lone_surrogates_are_copied() -> None:
    good = AIMessage([{"type": "text", "text": "schön \N{SNOWMAN}"}])
    bad = HumanMessage("caf\udce9.txt")
    same, mended = without_lone_surrogates([good, bad])
    assert same is good
    assert mended.content == "caf\N{REPLACEMENT CHARACTER}.txt"
    assert bad.content == "caf\udce9.txt"
