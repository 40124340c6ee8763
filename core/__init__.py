"""The vocabulary of the house: state, artifacts, settings, errors, events, context. Imports nothing of ours."""
