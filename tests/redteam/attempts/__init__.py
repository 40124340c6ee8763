"""The attempts, one module per class or part of a class; each gives a tuple `ATTEMPTS`."""
