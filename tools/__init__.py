"""Acts on the target repository: files, search, commands, git, checks, repair. Knows no model."""
