from stockroom.items import Item, Supplier


def test_home_made_item_takes_a_day():
    assert Item("JAM", 450).lead_time() == 1


def test_supplier_decides_the_lead_time():
    assert Item("TEA", 300, supplier=Supplier("Leaf", lead_days=12)).lead_time() == 12


def test_default_lead_time_is_a_week():
    assert Item("TEA", 300, supplier=Supplier("Leaf")).lead_time() == 7


def test_contact_is_lower_case():
    assert Item("TEA", 300, supplier=Supplier("Leaf", 3, "Sales@Leaf.EU")).contact() == ("sales@leaf.eu")


def test_contact_without_address():
    assert Item("TEA", 300, supplier=Supplier("Leaf")).contact() == "shop@example.org"
    assert Item("JAM", 450).contact() == "shop@example.org"
