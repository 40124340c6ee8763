"""What is on an invoice."""

from dataclasses import dataclass, field
from decimal import Decimal

from invoice.money import rounded, total

RATES = {"standard": Decimal("0.20"), "reduced": Decimal("0.05"), "zero": Decimal(0)}


@dataclass
class Line:
    """One article in some quantity; the discount is a share between 0 and 1."""

    article: str
    price: Decimal
    quantity: int = 1
    rate: str = "standard"
    discount: Decimal = Decimal(0)
    tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.quantity < 0:
            raise ValueError("a quantity cannot be negative")
        if not 0 <= self.discount <= 1:
            raise ValueError("a discount lies between 0 and 1")
        if self.rate not in RATES:
            raise KeyError(self.rate)

    @property
    def gross(self) -> Decimal:
        """Price of all pieces before any discount."""
        return self.price * self.quantity

    @property
    def net(self) -> Decimal:
        """Price of all pieces after the discount."""
        return rounded(self.gross * (1 - self.discount))

    @property
    def tax(self) -> Decimal:
        return rounded(self.net * RATES[self.rate])

    def tagged(self, tag: str) -> bool:
        """Whether the line carries a tag, in whatever case it was written."""
        return tag.lower() in [own.lower() for own in self.tags]


@dataclass
class Invoice:
    """Lines for one customer."""

    number: str
    customer: str
    lines: list[Line] = field(default_factory=list)
    paid: list[Decimal] = field(default_factory=list)

    def add(self, line: Line) -> None:
        """Add a line; the same article at the same price and terms is counted up instead."""
        for own in self.lines:
            if (own.article, own.price, own.rate, own.discount) == (line.article, line.price, line.rate, line.discount):
                own.quantity += line.quantity
                return
        self.lines.append(line)

    def net(self) -> Decimal:
        return total(line.net for line in self.lines)

    def taxes(self) -> dict[str, Decimal]:
        """Tax per rate, only of rates that occur, in the order of the lines."""
        sums: dict[str, Decimal] = {}
        for line in self.lines:
            sums[line.rate] = sums.get(line.rate, Decimal("0.00")) + line.tax
        return sums

    def due(self) -> Decimal:
        """Net and taxes less what was paid; never below zero."""
        owed = self.net() + total(self.taxes().values()) - total(self.paid)
        return max(owed, Decimal("0.00"))

    def pay(self, amount: Decimal) -> Decimal:
        """Book a payment and return what was paid too much.

        Raises:
            ValueError: the amount is not positive.
        """
        if amount <= 0:
            raise ValueError("a payment is positive")
        over = max(amount - self.due(), Decimal("0.00"))
        self.paid.append(amount - over)
        return over

    def discounted(self) -> list[Line]:
        """Lines with a discount, the largest discount first, then by article."""
        return sorted((line for line in self.lines if line.discount), key=lambda line: (-line.discount, line.article))
