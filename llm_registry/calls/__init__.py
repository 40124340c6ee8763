"""One call to one spec: request, stream, normalised answer, record."""
