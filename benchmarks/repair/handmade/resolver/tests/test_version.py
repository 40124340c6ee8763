import doctest
import random

import pytest
import resolver.version
from resolver.version import Requirement, Version, VersionError, normal

ORDERED = ["0.9", "1.0a1", "1.0a2", "1.0b1", "1.0rc1", "1.0", "1.0.1", "1.2", "1.10", "2.0rc2", "2.0rc10", "2.0", "10"]


def test_examples():
    assert doctest.testmod(resolver.version).failed == 0


def test_sorting():
    shuffled = list(ORDERED)
    random.Random(3).shuffle(shuffled)
    assert sorted(shuffled, key=Version.parse) == ORDERED


@pytest.mark.parametrize(("low", "high"), list(zip(ORDERED, ORDERED[1:], strict=False)))
def test_neighbours(low, high):
    assert Version.parse(low) < Version.parse(high)
    assert Version.parse(high) >= Version.parse(low)
    assert Version.parse(high) != Version.parse(low)


@pytest.mark.parametrize("text", ORDERED)
def test_text_and_back(text):
    assert str(Version.parse(text)) == text
    assert Version.parse(f" {text.upper()} ") == Version.parse(text)


def test_zeros_at_the_end():
    assert len({Version.parse(text) for text in ("1", "1.0", "1.0.0")}) == 1
    assert Version.parse("0") == Version.parse("0.0")
    assert Version.parse("1.0").part(1) == Version.parse("1").part(1) == Version.parse("1").part(5) == 0


@pytest.mark.parametrize("text", ["", "x", "1.", "1..2", "1.0c1", "1.0rc", "-1"])
def test_no_version(text):
    with pytest.raises(VersionError):
        Version.parse(text)


@pytest.mark.parametrize(
    ("requirement", "fits", "fails"),
    [
        ("x", "0 1.0 99", "1.0rc1"),
        ("x==1.2", "1.2 1.2.0", "1.2.1 1"),
        ("x!=1.2", "1.3 1", "1.2 1.2.0"),
        ("x>=1.2", "1.2 1.10 2", "1.1.9 1.3rc1"),
        ("x<=1.2", "1.2 0.1", "1.2.1 2"),
        ("x>1.2", "1.2.1 2", "1.2 1.0"),
        ("x<1.2", "1.1.9 0", "1.2 1.2rc1"),
        ("x>=1.0, <2", "1.0 1.99", "0.9 2.0 2.0.0"),
        ("x^1.2.3", "1.2.3 1.9", "1.2.2 2.0"),
        ("x^0.2.3", "0.2.3 0.2.9", "0.3 1.0 0.2.2"),
        ("x^0.0.3", "0.0.3", "0.0.4 0.1"),
        ("x^0.0", "0.0 0.0.9", "0.1"),
        ("x~=1.2.3", "1.2.3 1.2.9", "1.3 1.2.2 2"),
        ("x~=1.2", "1.2 1.9.9", "2.0 1.1"),
        ("x>=2.0rc1", "2.0rc1 2.0rc2 2.0", "2.0b1 1.9"),
    ],
)
def test_requirements(requirement, fits, fails):
    wanted = Requirement.parse(requirement)
    assert [text for text in fits.split() if not wanted.allows(Version.parse(text))] == []
    assert [text for text in fails.split() if wanted.allows(Version.parse(text))] == []


@pytest.mark.parametrize("text", ["", ">=1", "x>", "x 1.0", "x>=1,", "x=1", "x>=1;<2"])
def test_no_requirement(text):
    with pytest.raises(VersionError):
        Requirement.parse(text)


def test_requirement_as_text():
    assert str(Requirement.parse("My.Tool >= 1.0, <2")) == "my-tool>=1.0,<2"


@pytest.mark.parametrize("name", ["Foo-Bar", "foo_bar", "FOO.bar", "foo--bar", "foo-_.bar"])
def test_names(name):
    assert normal(name) == "foo-bar"
