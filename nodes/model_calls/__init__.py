"""How nodes ask models: single calls, the agent loop, and tools that consult another role."""
