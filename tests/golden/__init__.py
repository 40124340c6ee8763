"""Texts that are kept and compared."""
