"""What running the tests tells: which pass, which lines are suspicious, which types occur."""
