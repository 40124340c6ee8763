"""Exact amounts in one currency."""

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")


def rounded(amount: Decimal) -> Decimal:
    """Round to whole cents, halves away from zero.

    >>> rounded(Decimal("2.345"))
    Decimal('2.35')
    >>> rounded(Decimal("-2.345"))
    Decimal('-2.35')
    """
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


def parse_amount(text: str) -> Decimal:
    """Read an amount; thousands may be set apart by commas or blanks.

    >>> parse_amount("1,250.50")
    Decimal('1250.50')
    >>> parse_amount(" 12 ")
    Decimal('12.00')
    >>> parse_amount("(3.20)")
    Decimal('-3.20')
    """
    cleaned = text.strip().replace(",", "").replace(" ", "")
    negative = cleaned.startswith("(") and cleaned.endswith(")")
    if negative:
        cleaned = cleaned[1:-1]
    amount = rounded(Decimal(cleaned))
    return -amount if negative else amount


def split_evenly(amount: Decimal, parts: int) -> list[Decimal]:
    """Split an amount into parts that differ by a cent at most and sum up to it.

    The larger parts come first.

    Raises:
        ValueError: there is nothing to split it among.
    """
    if parts < 1:
        raise ValueError("needs at least one part")
    cents = int(amount / CENT)
    share, rest = divmod(cents, parts)
    return [CENT * (share + (1 if at < rest else 0)) for at in range(parts)]


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Sum of the amounts; 0.00 if there are none."""
    return sum(amounts, Decimal("0.00"))
