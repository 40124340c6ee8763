"""Invoices: lines, discounts, taxes, and a plain-text rendering."""
