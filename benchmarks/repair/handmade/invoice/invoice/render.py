"""Invoices as plain text."""

from decimal import Decimal

from invoice.lines import Invoice, Line

WIDTH = 40


def amount(value: Decimal) -> str:
    """Write an amount with commas; negative ones stand in parentheses.

    >>> amount(Decimal("1234.5"))
    '1,234.50'
    >>> amount(Decimal("-7"))
    '(7.00)'
    """
    return f"({-value:,.2f})" if value < 0 else f"{value:,.2f}"


def row(label: str, value: Decimal, width: int = WIDTH) -> str:
    """One row: the label on the left, the amount flush right; a long label is cut with an ellipsis."""
    figure = amount(value)
    room = width - len(figure) - 1
    if len(label) > room:
        label = label[: room - 1] + "…"
    return f"{label:<{room}} {figure}"


def describe(line: Line) -> str:
    text = line.article if line.quantity == 1 else f"{line.quantity} x {line.article}"
    if line.discount:
        text += f" (-{line.discount:.0%})"
    return text


def render(invoice: Invoice, width: int = WIDTH) -> str:
    """Return the whole invoice; rates of no tax are not shown."""
    rows = [f"Invoice {invoice.number}", invoice.customer, "-" * width]
    rows += [row(describe(line), line.net, width) for line in invoice.lines]
    rows.append("-" * width)
    rows.append(row("Net", invoice.net(), width))
    rows += [row(f"Tax {rate}", tax, width) for rate, tax in invoice.taxes().items() if tax]
    rows.append(row("Due", invoice.due(), width))
    return "\n".join(rows) + "\n"
