"""The stock as a whole: what comes in, what goes out, what it is worth."""

from inventory.items import Item


class OutOfStock(Exception):
    """More was asked for than there is."""


class Stock:
    """All items by their SKU."""

    def __init__(self):
        self._items = {}

    def add(self, item):
        """Put an item in; one that is there already grows by the count."""
        known = self._items.get(item.sku)
        if known is None:
            self._items[item.sku] = item
        else:
            known.count += item.count
        return self._items[item.sku]

    def take(self, sku, count=1):
        """Take pieces out."""
        item = self._items[sku]
        if count > item.count:
            raise OutOfStock(f"{count} of {sku} wanted, {item.count} there")
        item.count -= count
        return item

    def value(self):
        """What everything is worth, in cents."""
        return sum(item.value for item in self._items.values())

    def to_reorder(self):
        """SKUs that must be ordered, the scarcest first."""
        scarce = [item for item in self._items.values() if item.needs_reorder()]
        return [item.sku for item in sorted(scarce, key=lambda item: (item.count, item.sku))]

    def largest(self, count=3):
        """The items with the highest value, highest first."""
        return sorted(self._items.values(), key=lambda item: item.value, reverse=True)[:count]

    def find(self, text):
        """Items whose name contains the text, in any case."""
        wanted = text.lower()
        return [item for item in self._items.values() if wanted in item.name.lower()]


def stock_of(rows):
    """A stock from rows of (sku, name, price, count)."""
    stock = Stock()
    for sku, name, price, count in rows:
        stock.add(Item(sku, name, price, count))
    return stock
