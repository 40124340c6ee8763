"""The layers."""

import copy

from layered.convert import like


def merge(base, over):
    """Return base with over on top; tables merge, everything else is replaced."""
    result = dict(base)
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merge(result[key], value)
        else:
            result[key] = value
    return result


class Settings:
    def __init__(self, defaults, prefix="APP"):
        self._values = copy.deepcopy(defaults)
        self._defaults = defaults
        self._prefix = prefix

    def load(self, values):
        self._values = merge(self._values, values)
        return self

    def load_environment(self, environ):
        """Take `APP_SERVER__PORT=80` for `server.port`; unknown names are left alone."""
        for name, text in environ.items():
            prefix, _, rest = name.partition("_")
            if prefix != self._prefix:
                continue
            path = rest.lower().split("__")
            old = self.get(".".join(path))
            if old is not None:
                self.set(".".join(path), like(old, text))
        return self

    def get(self, path, default=None):
        value = self._values
        for key in path.split("."):
            if not isinstance(value, dict) or key not in value:
                return default
            value = value[key]
        return value

    def set(self, path, value):
        *tables, last = path.split(".")
        table = self._values
        for key in tables:
            table = table.setdefault(key, {})
        table[last] = value

    def changed(self):
        """Paths whose value is no longer the default."""
        return sorted(path for path, value in flatten(self._values) if value != Settings(self._defaults).get(path))


def flatten(values, prefix=""):
    for key, value in values.items():
        path = f"{prefix}.{key}" if prefix else key
        if isinstance(value, dict):
            yield from flatten(value, path)
        else:
            yield path, value
