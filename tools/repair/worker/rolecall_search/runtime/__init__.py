"""The process of the search: pytest as its host, forked children, tracing, and its protocol."""
