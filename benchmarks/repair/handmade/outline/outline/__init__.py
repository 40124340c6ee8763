"""Trees of headings."""
