"""The worktree of a thread: creating, filling, committing and applying it."""
