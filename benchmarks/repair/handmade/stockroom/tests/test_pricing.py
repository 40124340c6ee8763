import pytest
from stockroom.pricing import bulk_discount, line_total, order_total


def test_line_total_rounds_discount_down():
    assert line_total(333, 3, 10) == 900


@pytest.mark.parametrize(("count", "percent"), [(1, 0), (9, 0), (10, 5), (20, 10), (250, 15)])
def test_bulk_discount(count, percent):
    assert bulk_discount(count) == percent


def test_shipping_below_the_limit():
    assert order_total([(1000, 2)]) == 2490


def test_no_shipping_from_the_limit_on():
    assert order_total([(1000, 5)]) == 5000


def test_empty_order_costs_nothing():
    assert order_total([]) == 0


def test_member_discount_comes_before_shipping():
    assert order_total([(1000, 3)], member=True) == 3400
