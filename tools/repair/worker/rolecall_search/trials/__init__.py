"""Trying a candidate: in a fork of the collected session, or in a fresh run."""
