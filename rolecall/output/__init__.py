"""What is shown and printed: events as lines, the live display, JSON, the result."""
