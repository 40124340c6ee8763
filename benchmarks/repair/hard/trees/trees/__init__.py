"""Trees of named nodes, expressions and proxies."""
