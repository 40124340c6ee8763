"""`Dear {{ name | title }}` and nothing more clever than that."""

import re

_FIELD = re.compile(r"\{\{\s*(\w+)\s*(?:\|\s*(\w+)\s*)?(?:\?\s*([^}]*?)\s*)?\}\}")


class MissingFieldError(KeyError):
    def __init__(self, field):
        super().__init__(field)
        self.field = field


FILTERS = {
    "title": str.title,
    "upper": str.upper,
    "lower": str.lower,
    "initial": lambda text: text[:1] + ".",
}


class Template:
    def __init__(self, text, filters=None):
        self.text = text
        self.filters = {**FILTERS, **(filters or {})}

    def fields(self):
        """Names used, each once, in the order of their first use."""
        return list(dict.fromkeys(match[1] for match in _FIELD.finditer(self.text)))

    def render(self, values):
        def put(match):
            field, name, default = match.groups()
            value = values.get(field)
            if value is None or value == "":
                if default is None:
                    raise MissingFieldError(field)
                value = default
            if name:
                value = self.filters[name](str(value))
            return str(value)

        return _FIELD.sub(put, self.text)
