"""Plants secrets wherever users keep them, runs rolecall in many ways, and looks for them in all that it leaves."""
