"""Which model serves which role, and how it is called, watched and replaced."""
