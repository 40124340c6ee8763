"""One file per provider: turns a spec into a chat model; authentication and quirks only."""
