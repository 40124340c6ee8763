"""Prompt templates: one folder per node, one Markdown Jinja file per message."""
