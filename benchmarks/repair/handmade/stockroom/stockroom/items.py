"""What the shop sells and where it comes from."""

from dataclasses import dataclass, field


@dataclass
class Supplier:
    name: str
    lead_days: int = 7
    email: str | None = None


@dataclass
class Item:
    sku: str
    price: int
    quantity: int = 0
    supplier: Supplier | None = None
    tags: list[str] = field(default_factory=list)

    def lead_time(self):
        """Days until more of it can be here; home-made items take one day."""
        if self.supplier is None:
            return 1
        return self.supplier.lead_days

    def contact(self):
        if self.supplier is None or self.supplier.email is None:
            return "shop@example.org"
        return self.supplier.email.lower()
