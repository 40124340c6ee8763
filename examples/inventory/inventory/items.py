"""What lies on the shelves."""

from dataclasses import dataclass


@dataclass
class Item:
    """An article with its price in cents and how many there are."""

    sku: str
    name: str
    price: int
    count: int = 0
    reorder_at: int = 5

    @property
    def value(self):
        """What all pieces are worth, in cents."""
        return self.price * self.count

    def needs_reorder(self):
        """Whether so few are left that new ones must be ordered."""
        return self.count < self.reorder_at
