"""The target's own interpreter and its checks, and the repair search on them."""
