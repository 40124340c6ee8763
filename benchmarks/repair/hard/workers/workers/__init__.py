"""Jobs on threads."""
