"""Child processes: their environment, their limits, and their end with all they started."""
