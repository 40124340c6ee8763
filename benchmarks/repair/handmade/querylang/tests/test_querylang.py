import doctest

import pytest
import querylang.engine
import querylang.lexer
import querylang.nodes
from querylang.engine import ordered, project
from querylang.lexer import tokens
from querylang.nodes import And, Compare, Not, Or

from querylang import QueryError, count_by, parse, select

PEOPLE = [
    {"name": "Ann", "age": 31, "city": "Rome", "job": {"title": "chef", "pay": 3200}},
    {"name": "bob", "age": 27, "city": "Oslo", "job": None},
    {"name": "Cem", "age": 45, "city": "rome", "job": {"title": "Driver", "pay": 2100.5}},
    {"name": "dee", "age": None, "city": "Bern", "vip": True},
    {"name": "Eve_1", "age": 27, "city": "Oslo", "job": {"title": "chef", "pay": 2800}, "vip": False},
]


def names(query, **more):
    return [person["name"][0].lower() for person in select(PEOPLE, query, **more)]


@pytest.mark.parametrize("module", [querylang.engine, querylang.lexer, querylang.nodes])
def test_examples(module):
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "abcde"),
        ("  ", "abcde"),
        ("age = 27", "be"),
        ("age != 27", "acd"),
        ("age > 27", "ac"),
        ("age >= 27", "abce"),
        ("age < 31", "be"),
        ("age <= 31", "abe"),
        ("age < -1", ""),
        ("city = 'ROME'", "ac"),
        ("city != 'oslo'", "acd"),
        ('city in ("rome", "Bern")', "acd"),
        ("city not in ('rome')", "bde"),
        ("age in (27, 45)", "bce"),
        ("name like '_n%'", "a"),
        ("name like 'E%'", "e"),
        ("name not like '%e%'", "ab"),
        ("name like 'cem'", "c"),
        ("name like 'e'", ""),
        ("job is null", "bd"),
        ("job is not null", "ace"),
        ("job.pay > 2500", "ae"),
        ("job.pay >= 2100.5", "ace"),
        ("job.pay = 2100.5", "c"),
        ("job.title = 'CHEF' and age < 30", "e"),
        ("age = 45 or age = 31", "ac"),
        ("not age = 27", "acd"),
        ("NOT (age = 27 OR city = 'Rome')", "d"),
        ("age = 31 or age = 27 and city = 'bern'", "a"),
        ("(age = 31 or age = 27) and city = 'oslo'", "be"),
        ("not age = 27 and city = 'rome'", "ac"),
        ("vip = true", "d"),
        ("vip = FALSE", "e"),
        ("name > 5", ""),
        ("job.title.x = 1", ""),
    ],
)
def test_queries(query, expected):
    assert "".join(names(query)) == expected


@pytest.mark.parametrize(
    ("query", "at"),
    [
        ("age =", 5), ("age = = 5", 6), ("(age = 5", 8), ("age = 5)", 7), ("age ~ 5", 4), ("age is 5", 7), ("= 5", 0),
        ("age not = 5", 8), ("city = rome", 7), ("city in ()", 9), ("a = 1 b = 2", 6), ("and", 0), ("x like 5", 7),
    ],
)  # fmt: skip
def test_errors_name_the_place(query, at):
    with pytest.raises(QueryError) as caught:
        parse(query)
    assert caught.value.at == at


def test_precedence():
    a, b, c = (Compare(name, "=", 1) for name in "abc")
    assert parse("a = 1 or b = 1 and not c = 1") == Or((a, And((b, Not(c)))))
    assert parse("a = 1 and b = 1 and c = 1") == And((a, b, c))
    assert parse("not not a = 1") == Not(Not(a))


def test_tokens():
    assert [token.kind for token in tokens("a.b NOT in(1,'x y')")] == [
        "name", "not", "in", "(", "number", ",", "text", ")", "end",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["plain", "it's", 'a "b"', "back\\slash", ""])
def test_quoted_texts(text):
    written = text.replace("\\", "\\\\").replace('"', '\\"')
    assert parse(f'x = "{written}"') == Compare("x", "=", text)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("name", "abcde"), ("-name", "edcba"), ("age", "beacd"), ("-age", "cabed"), ("age, -name", "ebacd"),
        ("city,age", "dbeac"), ("-city,-age", "cabed"), ("job.pay", "ceabd"),
    ],
)  # fmt: skip
def test_order(order, expected):
    assert "".join(names("", order=order)) == expected


@pytest.mark.parametrize(
    ("limit", "offset", "expected"),
    [(None, 0, "abcde"), (2, 0, "ab"), (2, 1, "bc"), (0, 0, ""), (9, 3, "de"), (2, 9, ""), (None, 4, "e")],
)
def test_pages(limit, offset, expected):
    assert "".join(names("", limit=limit, offset=offset)) == expected


def test_sorting_leaves_the_records():
    before = list(PEOPLE)
    ordered(PEOPLE, "-age")
    assert before == PEOPLE


def test_count_by():
    assert list(count_by(PEOPLE, "age").items()) == [(27, 2), (31, 1), (45, 1), (None, 1)]
    assert count_by(PEOPLE, "job.title", "age > 40") == {"Driver": 1}
    assert list(count_by(PEOPLE, "city")) == ["Oslo", "Bern", "Rome", "rome"]


def test_project():
    assert project(PEOPLE[:2], "name", "job.pay") == [{"name": "Ann", "pay": 3200}, {"name": "bob", "pay": None}]
