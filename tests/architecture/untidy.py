"""A module that does on import what no module may; shows that such a thing is noticed."""

import tempfile

FOLDER = tempfile.TemporaryDirectory()
