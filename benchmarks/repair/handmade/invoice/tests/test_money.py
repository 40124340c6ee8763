import doctest
from decimal import Decimal

import pytest

from invoice import discounts, money, render


@pytest.mark.parametrize("module", [money, discounts, render])
def test_examples(module):
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", "0.00"), ("1 000", "1000.00"), ("12,345,678.9", "12345678.90"), ("(1,000)", "-1000.00"), ("-4.5", "-4.50")],
)
def test_parse_amount(text, expected):
    assert money.parse_amount(text) == Decimal(expected)


@pytest.mark.parametrize("cents", [0, 1, 99, 100, 101, 1000, 9999])
@pytest.mark.parametrize("parts", [1, 2, 3, 7, 12])
def test_a_split_loses_nothing(cents, parts):
    amount = Decimal(cents) / 100
    shares = money.split_evenly(amount, parts)
    assert len(shares) == parts
    assert sum(shares) == amount
    assert max(shares) - min(shares) <= money.CENT
    assert shares == sorted(shares, reverse=True)


def test_split_among_nobody():
    with pytest.raises(ValueError):
        money.split_evenly(Decimal(1), 0)


def test_total():
    assert money.total([]) == 0
    assert money.total([Decimal("1.10"), Decimal("2.20")]) == Decimal("3.30")


@pytest.mark.parametrize("value", ["0.00", "5.10", "-5.10", "1234567.89", "-1000.00"])
def test_written_amounts_can_be_read(value):
    assert money.parse_amount(render.amount(Decimal(value))) == Decimal(value)
