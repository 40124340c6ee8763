"""Families of small edits a candidate patch is made of."""
