"""rolecall's verbs as typed functions, independent of a terminal: called by the command line and other interfaces."""
