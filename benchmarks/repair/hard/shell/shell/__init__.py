"""Runs commands and reads settings."""
