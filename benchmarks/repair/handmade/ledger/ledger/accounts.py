"""Accounts and postings."""

from dataclasses import dataclass, field
from decimal import Decimal


class LedgerError(Exception):
    """Anything the books refuse."""


class UnknownAccountError(LedgerError, KeyError):
    pass


class OverdrawnError(LedgerError):
    pass


@dataclass(frozen=True)
class Posting:
    account: str
    amount: Decimal


@dataclass
class Account:
    name: str
    limit: Decimal = Decimal(0)
    frozen: bool = False
    postings: list[Posting] = field(default_factory=list)

    @property
    def balance(self):
        return sum((posting.amount for posting in self.postings), Decimal(0))

    def allows(self, amount):
        """Whether the amount may be booked; a limit of 50 lets the balance go down to -50."""
        if self.frozen:
            return False
        return amount >= 0 or self.balance + amount >= -self.limit


def money(text):
    """Read `1,234.50` or `-3`; a trailing currency is allowed."""
    number = text.strip().split(" ")[0].replace(",", "")
    return Decimal(number).quantize(Decimal("0.01"))
