"""The git program: how it is started, with which configuration, on which repository."""
