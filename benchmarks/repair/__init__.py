"""How many one-line bugs the repair search mends: corpus, runner, judge and table."""
