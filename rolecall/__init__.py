"""The entry points: command line, live display and Studio. Decides nothing and stores no state."""
