"""The shelves: receiving, reserving, counting."""

from stockroom.items import Item


class OutOfStockError(Exception):
    def __init__(self, sku, wanted, there):
        super().__init__(f"{sku}: wanted {wanted}, have {there}")
        self.missing = wanted - there


class Stock:
    def __init__(self, items=None):
        self._items = {item.sku: item for item in items or []}
        self._reserved = {}

    def __contains__(self, sku):
        return sku in self._items

    def add(self, item: Item):
        if item.sku in self._items:
            self._items[item.sku].quantity += item.quantity
        else:
            self._items[item.sku] = item

    def available(self, sku):
        return self._items[sku].quantity - self._reserved.get(sku, 0)

    def reserve(self, sku, count):
        there = self.available(sku)
        if count > there:
            raise OutOfStockError(sku, count, there)
        self._reserved[sku] = self._reserved.get(sku, 0) + count
        return there - count

    def ship(self, sku, count):
        held = self._reserved.get(sku, 0)
        if count > held:
            raise ValueError(f"only {held} of {sku} are reserved")
        self._items[sku].quantity -= count
        self._reserved[sku] = held - count

    def to_reorder(self, threshold=5):
        """SKUs that fell below the threshold, scarcest first."""
        low = [sku for sku in self._items if self.available(sku) < threshold]
        return sorted(low, key=self.available)

    def by_tag(self, tag, into=None):
        if into is None:
            into = []
        for item in self._items.values():
            if tag in item.tags:
                into.append(item.sku)
        return into
