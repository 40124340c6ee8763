"""Text output: rendering templates, quoting foreign text, wording artifacts and the report."""
