import pytest
from mailmerge.merge import Merge
from mailmerge.people import read_people, split_name, unique
from mailmerge.template import MissingFieldError, Template

PEOPLE = """\
Name, Email, Home Town
Ann Lee, ann@x.org, Ulm
"Roe, Jane",jane@x.org,
Ann Lee, ANN@x.org, Bonn
Max Mu,,Kiel
"""


@pytest.fixture
def people():
    return read_people(PEOPLE)


def test_header_becomes_keys(people):
    assert people[0] == {"name": "Ann Lee", "email": "ann@x.org", "home_town": "Ulm"}


def test_other_delimiter():
    assert read_people("a;b\n1;2\n", ";") == [{"a": "1", "b": "2"}]


def test_unique_ignores_case(people):
    assert [p["name"] for p in unique(people)] == ["Ann Lee", "Roe, Jane", "Max Mu"]


def test_unique_keeps_those_without_address():
    assert len(unique([{"name": "a"}, {"name": "b"}])) == 2


@pytest.mark.parametrize(
    ("full", "parts"),
    [("Lee, Ann", ("Ann", "Lee")), ("Ann B. Lee", ("Ann B.", "Lee")), ("Plato", ("", "Plato"))],
)
def test_split_name(full, parts):
    assert split_name(full) == parts


def test_fields_in_order():
    assert Template("{{b}} {{ a|upper }} {{b}}").fields() == ["b", "a"]


def test_filters():
    text = Template("{{ a | title }} {{a|initial}} {{a|shout}}", {"shout": lambda s: s + "!"})
    assert text.render({"a": "ann lee"}) == "Ann Lee a. ann lee!"


def test_default_for_empty_and_missing():
    template = Template("{{ town ? your town }}")
    assert template.render({"town": ""}) == template.render({}) == "your town"


def test_zero_is_a_value():
    assert Template("{{ n ? none }}").render({"n": 0}) == "0"


def test_missing_field_is_named():
    with pytest.raises(MissingFieldError) as caught:
        Template("{{ town }}").render({})
    assert caught.value.field == "town"


def test_letters(people):
    merge = Merge("Dear {{ first }} {{ last|upper }} of {{ home_town }}, {{sender}}")
    assert list(merge.letters(people)) == [
        ("ann@x.org", "Dear Ann LEE of Ulm, office@example.org"),
        ("", "Dear Max MU of Kiel, office@example.org"),
    ]
    assert merge.skipped == [("Roe, Jane", "home_town")]


def test_limit_counts_letters_not_people(people):
    merge = Merge("{{ home_town }}", max_size=2)
    assert [text for _, text in merge.letters(people)] == ["Ulm", "Kiel"]
    merge.max_size = 1
    assert [text for _, text in merge.letters([people[0], people[3]])] == ["Ulm"]


def test_preview(people):
    merge = Merge("Dear {{ first }}, welcome to the club\nmore")
    assert merge.preview(people)[0] == "Dear Ann, welcome ..."


def test_short_lines_stay_whole(people):
    assert Merge("Hi {{ first }}").preview(people)[1] == "Hi Jane"
