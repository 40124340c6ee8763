"""The verbs of rolecall as typed functions that know no terminal: what the command line and other ways in call."""
