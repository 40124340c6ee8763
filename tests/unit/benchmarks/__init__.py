"""The repair benchmark's corpus, judge and table."""
