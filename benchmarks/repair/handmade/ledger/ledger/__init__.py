"""Double-entry book-keeping for a club."""
