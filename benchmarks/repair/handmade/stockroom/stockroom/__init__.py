"""Stock levels and order prices of a small shop."""
