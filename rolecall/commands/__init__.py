"""What each command does: one file per family, imported when the command is called."""
