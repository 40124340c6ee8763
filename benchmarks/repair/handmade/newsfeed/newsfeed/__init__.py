"""Collects entries from several sources at the same time."""
