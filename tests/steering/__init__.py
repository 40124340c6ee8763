"""A small steered graph with real SQLite under it: an agent loop in a node, then a node that drains at its entry."""
