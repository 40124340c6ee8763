"""What follows what: the compiled graph, its runner, checkpoints, inbox, leases and supervisor."""
