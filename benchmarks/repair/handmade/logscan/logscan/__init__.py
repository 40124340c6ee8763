"""Reads service logs and sums them up."""
