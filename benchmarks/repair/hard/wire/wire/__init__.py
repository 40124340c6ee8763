"""A line protocol over sockets."""
