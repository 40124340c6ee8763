"""Files of a worktree: which may be accessed, how they are opened, read, shown and edited."""
