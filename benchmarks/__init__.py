"""Measurements of rolecall against bounds and corpora; printed, never asserted in tests."""
