"""The search itself; it runs inside the interpreter of the program under repair."""
