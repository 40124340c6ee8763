"""Where programs run: in bubblewrap where it works, else on the host under limits."""
