"""What survives a run: the record of model calls and what was learned from them."""
