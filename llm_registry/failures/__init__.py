"""How a call fails, and what each kind of failure means for the chain."""
