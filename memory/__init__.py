"""What survives a run: knowledge and lessons. Nothing lives here yet; model calls are kept by
`llm_registry.records.call_log`."""
