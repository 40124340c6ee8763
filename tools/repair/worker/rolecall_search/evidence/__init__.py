"""What running the tests shows: which pass, which lines are suspicious, which types occur."""
