"""The shared vocabulary: state, artifacts, settings, errors, events, context. Imports nothing of ours."""
