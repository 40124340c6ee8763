"""Servers for the user's own GGUF files: found, started, shared and stopped."""
