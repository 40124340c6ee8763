"""What is stored about threads: checkpoints, the list of threads, inbox, lease, record of events."""
