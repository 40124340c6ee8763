"""Picks versions of packages that fit together."""
