"""Buffers, exits and the C library."""
