"""The shared vocabulary: state, artifacts, settings, errors, events, context. Imports none of our packages."""
