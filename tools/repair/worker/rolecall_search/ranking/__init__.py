"""Patches that pass: distinguished, ordered, labelled and reported."""
