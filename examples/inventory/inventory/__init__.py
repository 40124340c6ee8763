"""A small stock keeper."""
