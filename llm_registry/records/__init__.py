"""What is recorded about calls: rows, sums and limits, spans, prompts, capabilities of servers."""
