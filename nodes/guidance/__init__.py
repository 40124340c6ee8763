"""Guidance of people and the supervisor: how it is delivered, and what it may change."""
