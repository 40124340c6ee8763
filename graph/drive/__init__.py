"""A thread on its way: the stream of its graph, interruptions, progress."""
