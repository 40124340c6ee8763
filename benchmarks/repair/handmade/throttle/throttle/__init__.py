"""Limits on how often and how long."""
