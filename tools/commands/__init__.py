"""Commands of a model or a check: which may run without asking, how they run, what is stored of their output."""
