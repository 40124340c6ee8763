"""The entry points: command line, live display and Studio. Decides nothing and keeps no state."""
