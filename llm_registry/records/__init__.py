"""What is remembered of calls: rows, sums and limits, spans, prompts, capabilities of servers."""
