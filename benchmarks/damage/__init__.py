"""What happens when files, rows, locks, disks, permissions, git data or the clock are damaged under a thread."""
