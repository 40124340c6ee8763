"""The doctor and the bench: what serves a role, how well, and which line to change."""
