"""The worktree of a thread: made, filled, committed, and brought home."""
