"""Repair by search: find patches that make failing tests pass, without any model."""
