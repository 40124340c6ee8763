"""Any text survives reading and writing back, byte by byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ToolError
from tools.files.text_edit import replace_once
from tools.files.text_files import TextFile, decode

PIECES = st.sampled_from(
    [b"a", b"\n", b"\r\n", b"\r", b"\xe9", "é→".encode(), b"\xef\xbb\xbf", b"\xff\xfe", b"\0", b"\t"]
)


@given(st.one_of(st.binary(max_size=60), st.lists(PIECES, max_size=20).map(b"".join)))
def test_bytes_survive(data: bytes) -> None:
    try:
        file = decode(data, "x")
    except ToolError:
        assert b"\0" in data or data.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf"))
        return
    assert file.data() == data
    file.text.replace("\r", "").encode(file.encoding)


@given(st.text(max_size=40), st.sampled_from(["utf-8", "utf-16-le", "utf-16-be"]), st.booleans())
def test_text_of_every_marked_encoding_is_read(text: str, encoding: str, crlf: bool) -> None:
    text = text.replace("\r", "")
    bom = "\ufeff".encode(encoding)
    body = (text.replace("\n", "\r\n") if crlf else text).encode(encoding, "ignore")
    file = decode(bom + body, "x")
    assert file.bom == bom
    assert file.text == body.decode(encoding).replace("\r\n", "\n")
    assert file.data() == bom + body


def test_a_declared_encoding_is_used() -> None:
    data = "# -*- coding: cp1251 -*-\nx = 'привет'\n".encode("cp1251")
    file = decode(data, "x.py")
    assert "привет" in file.text
    assert file.with_text(file.text.replace("привет", "пока")).data().decode("cp1251").endswith("'пока'\n")


@pytest.mark.parametrize("cookie", [b"hex", b"rot13", b"no-such", b"utf-7", b"iso-2022-jp"])
def test_an_odd_declaration_does_no_harm(cookie: bytes) -> None:
    data = b"# coding: " + cookie + b"\nx = '\xe9 +AGE-'\n"
    assert decode(data, "x.py").data() == data


def test_windows_line_ends_given_by_a_model_are_not_doubled() -> None:
    file = decode(b"a\r\nb\r\n", "x")
    assert file.with_text("a\r\nc\n").data() == b"a\r\nc\r\n"


@given(
    st.text(alphabet="ab\n ", max_size=12),
    st.text(alphabet="ab\n ", min_size=1, max_size=4),
    st.text("ab\n ", max_size=6),
)
def test_an_edit_is_exact_and_idempotent(text: str, old: str, new: str) -> None:
    try:
        edited = replace_once(text, old, new)
    except ToolError:
        assert text.count(old) != 1 or old == new
        return
    if edited.changed:
        assert text.count(old) == 1
        assert edited.text == text.replace(old, new)
    else:
        assert edited.text == text
        assert new in text


@given(st.text(alphabet="abc\n", min_size=1, max_size=30))
def test_a_repeated_insertion_changes_nothing_more(body: str) -> None:
    text = f"{body}\nMARK\n{body}\n"
    once = replace_once(text, "MARK\n", "MARK\nnew line\n")
    assert once.changed
    assert not replace_once(once.text, "MARK\n", "MARK\nnew line\n").changed


def test_an_empty_file_is_text() -> None:
    assert decode(b"", "x") == TextFile("")
