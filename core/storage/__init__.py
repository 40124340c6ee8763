"""Where rolecall keeps things: the database, the names below `.rolecall/`, and whose they are."""
