"""The embedded engine (no LLM): it extracts from its input and repairs by search. Needs no network."""
