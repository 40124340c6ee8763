"""What all runs of this user share about a server: breakers and slots."""
