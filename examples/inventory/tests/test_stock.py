import pytest

from inventory.items import Item
from inventory.stock import OutOfStock, stock_of


@pytest.fixture
def stock():
    return stock_of(
        [
            ("bolt", "Bolt M4", 12, 200),
            ("nut", "Nut M4", 8, 5),
            ("saw", "Hand saw", 1500, 3),
            ("glue", "Wood glue", 650, 6),
        ]
    )


def test_adding_a_known_item_raises_its_count(stock):
    stock.add(Item("nut", "Nut M4", 8, 10))
    assert stock.take("nut", 15).count == 0


def test_taking_too_many_is_refused(stock):
    with pytest.raises(OutOfStock):
        stock.take("saw", 4)


def test_value_of_everything(stock):
    assert stock.value() == 12 * 200 + 8 * 5 + 1500 * 3 + 650 * 6


def test_what_must_be_ordered(stock):
    assert stock.to_reorder() == ["saw", "nut"]


def test_largest_items_come_first(stock):
    assert [item.sku for item in stock.largest(2)] == ["saw", "glue"]


def test_names_are_found_in_any_case(stock):
    assert [item.sku for item in stock.find("m4")] == ["bolt", "nut"]
