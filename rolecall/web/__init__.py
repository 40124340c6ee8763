"""What is served over HTTP: the guard of every server, and the graph for LangGraph Studio."""
