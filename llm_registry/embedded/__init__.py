"""The engine without weights: it extracts from what it is shown and repairs by search. Needs no network."""
