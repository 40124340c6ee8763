"""Settings from defaults, a file and the environment, in layers."""

from layered.settings import Settings, merge

__all__ = ["Settings", "merge"]
