from decimal import Decimal

import pytest
from invoice.discounts import apply_coupon, apply_volume, volume_discount
from invoice.lines import Invoice, Line
from invoice.render import render, row

D = Decimal


@pytest.fixture
def invoice():
    made = Invoice("2024-17", "Ann Lee")
    made.add(Line("Desk", D("200.00")))
    made.add(Line("Pen", D("1.50"), quantity=50))
    made.add(Line("Book", D("10.00"), quantity=3, rate="reduced", tags=["No-Discount"]))
    return made


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [(0, "0"), (9, "0"), (10, "0.05"), (49, "0.05"), (50, "0.10"), (99, "0.10"), (100, "0.15"), (5000, "0.15")],
)
def test_volume_discount(quantity, expected):
    assert volume_discount(quantity) == D(expected)


def test_sums(invoice):
    assert invoice.net() == D("305.00")
    assert invoice.taxes() == {"standard": D("55.00"), "reduced": D("1.50")}
    assert invoice.due() == D("361.50")


def test_the_same_article_is_counted_up(invoice):
    invoice.add(Line("Desk", D("200.00")))
    assert len(invoice.lines) == 3
    assert invoice.lines[0].quantity == 2


def test_another_price_is_another_line(invoice):
    invoice.add(Line("Desk", D("150.00")))
    invoice.add(Line("Desk", D("200.00"), discount=D("0.1")))
    assert len(invoice.lines) == 5


@pytest.mark.parametrize(
    "wrong", [{"quantity": -1}, {"discount": D("1.01")}, {"discount": D("-0.1")}, {"rate": "luxury"}]
)
def test_refused_lines(wrong):
    with pytest.raises((ValueError, KeyError)):
        Line("Desk", D(1), **wrong)


@pytest.mark.parametrize("discount", ["0", "0.5", "1"])
def test_discounts_up_to_all(discount):
    assert Line("Desk", D(10), discount=D(discount)).net == 10 * (1 - D(discount))


def test_lines_do_not_share_tags():
    first, second = Line("A", D(1)), Line("B", D(1))
    first.tags.append("gift")
    assert not second.tagged("gift")
    assert first.tagged("GIFT")


def test_payments(invoice):
    assert invoice.pay(D("61.50")) == 0
    assert invoice.due() == D("300.00")
    assert invoice.pay(D("350.00")) == D("50.00")
    assert invoice.due() == 0
    assert invoice.paid == [D("61.50"), D("300.00")]


@pytest.mark.parametrize("amount", ["0", "-1"])
def test_no_payment(invoice, amount):
    with pytest.raises(ValueError):
        invoice.pay(D(amount))
    assert invoice.paid == []


def test_volume_leaves_exempt_lines(invoice):
    invoice.lines[2].quantity = 10
    assert [line.article for line in apply_volume(invoice)] == ["Pen"]
    assert invoice.lines[1].net == D("67.50")
    assert apply_volume(invoice) == []


def test_coupon(invoice):
    assert apply_coupon(invoice, D("0.1")) == D("30.50")
    assert invoice.net() == D("274.50")
    assert apply_coupon(invoice, D("0.5"), limit=D(100)) == 0
    assert invoice.net() == D("274.50")


def test_a_coupon_may_save_its_limit(invoice):
    assert apply_coupon(invoice, D("0.1"), limit=D("30.50")) == D("30.50")


def test_discounted(invoice):
    invoice.lines[0].discount = D("0.1")
    invoice.lines[1].discount = D("0.3")
    invoice.lines[2].discount = D("0.1")
    assert [line.article for line in invoice.discounted()] == ["Pen", "Book", "Desk"]


def test_row_is_cut():
    assert row("A very long label", D("1000"), 16) == "A very… 1,000.00"
    assert len(row("A very long label", D("1000"), 16)) == 16
    assert row("Exact", D("1.00"), 10) == "Exact 1.00"


def test_render(invoice):
    apply_volume(invoice)
    assert render(invoice, 30).splitlines() == [
        "Invoice 2024-17",
        "Ann Lee",
        "-" * 30,
        "Desk                    200.00",
        "50 x Pen (-10%)          67.50",
        "3 x Book                 30.00",
        "-" * 30,
        "Net                     297.50",
        "Tax standard             53.50",
        "Tax reduced               1.50",
        "Due                     352.50",
    ]


def test_no_row_for_no_tax():
    made = Invoice("1", "Bob")
    made.add(Line("Stamp", D("0.80"), rate="zero"))
    assert "Tax" not in render(made)
