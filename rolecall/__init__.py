"""The ways in: command line, live display and Studio entry. Decides nothing and keeps no state."""
