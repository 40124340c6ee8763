"""Which spec of a chain is asked next, and what to do when none is left."""
