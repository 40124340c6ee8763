"""Rules that grant discounts."""

from collections.abc import Sequence
from decimal import Decimal

from invoice.lines import Invoice, Line

STEPS = ((100, Decimal("0.15")), (50, Decimal("0.10")), (10, Decimal("0.05")))


def volume_discount(quantity: int, steps: Sequence[tuple[int, Decimal]] = STEPS) -> Decimal:
    """Return the discount for a quantity; a step's own quantity already earns it."""
    for least, discount in steps:
        if quantity >= least:
            return discount
    return Decimal(0)


def combine(first: Decimal, second: Decimal) -> Decimal:
    """Combine two discounts that are granted one after the other.

    >>> combine(Decimal("0.5"), Decimal("0.5"))
    Decimal('0.75')
    """
    return 1 - (1 - first) * (1 - second)


def apply_volume(invoice: Invoice, exempt: str = "no-discount") -> list[Line]:
    """Give each line its volume discount unless it has one or is exempt; return the lines changed."""
    changed = []
    for line in invoice.lines:
        if line.discount or line.tagged(exempt):
            continue
        granted = volume_discount(line.quantity)
        if granted:
            line.discount = granted
            changed.append(line)
    return changed


def apply_coupon(invoice: Invoice, share: Decimal, limit: Decimal | None = None) -> Decimal:
    """Take a further share off each line and return what that saved.

    Nothing happens if the saving would exceed `limit`.
    """
    before = invoice.net()
    old = [line.discount for line in invoice.lines]
    for line in invoice.lines:
        line.discount = combine(line.discount, share)
    saved = before - invoice.net()
    if limit is not None and saved > limit:
        for line, discount in zip(invoice.lines, old, strict=True):
            line.discount = discount
        return Decimal("0.00")
    return saved
