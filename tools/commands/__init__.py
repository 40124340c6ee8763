"""Commands of a model or a check: which may run unasked, how they run, what is kept of their output."""
