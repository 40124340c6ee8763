"""Files of a worktree: where one may go, how they are opened, read, shown and edited."""
