"""Prompt templates: one directory per node, one Markdown Jinja file per message."""
