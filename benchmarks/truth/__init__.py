"""Whether what a run says is true: every claim of screen, report, record and exit code against what really happened."""
