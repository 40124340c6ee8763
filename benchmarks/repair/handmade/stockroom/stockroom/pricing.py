"""Order totals in cents."""

FREE_SHIPPING = 5000
SHIPPING = 490


def line_total(price, count, discount=0):
    """Price of one line; `discount` is in percent and rounds in the shop's favour."""
    gross = price * count
    return gross - gross * discount // 100


def bulk_discount(count):
    if count >= 100:
        return 15
    if count >= 20:
        return 10
    if count >= 10:
        return 5
    return 0


def order_total(lines, *, member=False):
    """Sum of (price, count) lines with bulk discount, member discount and shipping."""
    total = sum(line_total(price, count, bulk_discount(count)) for price, count in lines)
    if member:
        total -= total * 3 // 100
    if total and total < FREE_SHIPPING:
        total += SHIPPING
    return total
