"""A run in a terminal: keys, signals, and its result."""
