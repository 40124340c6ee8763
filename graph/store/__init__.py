"""What is kept of threads: checkpoints, the list of threads, inbox, lease, record of events."""
