"""Where rolecall stores things: the database, the names below `.rolecall/`, and who owns them."""
