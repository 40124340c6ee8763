"""Tests of the whole graph: real git, real SQLite files, scripted models over real HTTP."""
