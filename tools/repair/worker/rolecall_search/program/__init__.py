"""The program under repair: its files, their sources, and the types seen in it."""
