from inventory.items import Item


def test_value_is_price_times_count():
    assert Item("a", "Apple", price=30, count=4).value == 120


def test_few_pieces_need_a_reorder():
    assert Item("a", "Apple", price=30, count=2).needs_reorder()


def test_exactly_at_the_mark_needs_a_reorder():
    assert Item("a", "Apple", price=30, count=5).needs_reorder()


def test_plenty_needs_none():
    assert not Item("a", "Apple", price=30, count=6).needs_reorder()
