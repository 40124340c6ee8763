"""Letters for everyone."""

from mailmerge.people import split_name, unique
from mailmerge.template import MissingFieldError, Template


class Merge:
    def __init__(self, template, sender="office@example.org", max_size=None):
        self.template = Template(template)
        self.sender = sender
        self.max_size = max_size
        self.skipped = []

    def letters(self, people):
        count = 0
        for person in unique(people):
            if self.max_size is not None and count >= self.max_size:
                break
            first, last = split_name(person["name"])
            values = {"first": first, "last": last, "sender": self.sender, **person}
            try:
                text = self.template.render(values)
            except MissingFieldError as error:
                self.skipped.append((person["name"], error.field))
                continue
            count += 1
            yield person.get("email", ""), text

    def preview(self, people, width=20):
        """First words of each letter, cut at a word's end."""
        short = []
        for _, text in self.letters(people):
            line = text.splitlines()[0]
            if len(line) > width:
                line = line[:width].rsplit(" ", 1)[0] + " ..."
            short.append(line)
        return short
