"""Letters from a template and a table of people."""
