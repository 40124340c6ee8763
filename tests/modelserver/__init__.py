"""Scripted model servers that speak the real protocols over HTTP on loopback."""
