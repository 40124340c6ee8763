"""A running thread: the stream of its graph, interruptions, progress."""
