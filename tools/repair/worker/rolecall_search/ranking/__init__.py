"""Patches that pass: told apart, ordered, labelled and reported."""
