import pytest
from stockroom.items import Item
from stockroom.stock import OutOfStockError, Stock


@pytest.fixture
def stock():
    return Stock([Item("TEA", 300, 10, tags=["drink"]), Item("CUP", 900, 2, tags=["ware"])])


def test_add_known_item_adds_up(stock):
    stock.add(Item("TEA", 300, 5))
    assert stock.available("TEA") == 15


def test_reserve_lowers_what_is_available(stock):
    assert stock.reserve("TEA", 4) == 6
    assert stock.reserve("TEA", 6) == 0


def test_reserving_too_much_tells_how_much_is_missing(stock):
    with pytest.raises(OutOfStockError) as caught:
        stock.reserve("CUP", 5)
    assert caught.value.missing == 3


def test_ship_keeps_the_rest_reserved(stock):
    stock.reserve("TEA", 6)
    stock.ship("TEA", 4)
    assert stock.available("TEA") == 4


def test_ship_wants_a_reservation(stock):
    with pytest.raises(ValueError, match="only 0"):
        stock.ship("CUP", 1)


def test_reorder_lists_scarcest_first(stock):
    stock.add(Item("POT", 2500, 1))
    assert stock.to_reorder() == ["POT", "CUP"]
    assert stock.to_reorder(2) == ["POT"]


def test_by_tag_starts_afresh(stock):
    assert stock.by_tag("drink") == ["TEA"]
    assert stock.by_tag("ware") == ["CUP"]
    assert stock.by_tag("ware", ["TEA"]) == ["TEA", "CUP"]
