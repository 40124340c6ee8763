"""The tools a model is given."""
